#include "broker/protocol/json_value.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include <fmt/format.h>

#include "broker/base/clock.hpp"
#include "broker/base/encoding.hpp"
#include "broker/base/json_depth.hpp"

namespace berth::protocol {

using Json = nlohmann::json;

namespace {

// How AWS's parser names what it found. From memory, not tested against AWS.
std::string found_in(const Json& wire) {
  switch (wire.type()) {
    case Json::value_t::string: return "STRING_VALUE";
    case Json::value_t::boolean: return wire.get<bool>() ? "TRUE_VALUE" : "FALSE_VALUE";
    case Json::value_t::number_float: return "DECIMAL_VALUE";
    default: return "NUMBER_VALUE";
  }
}

std::unexpected<std::string> mismatch(const Json& wire, std::string_view wanted) {
  if (wire.is_object()) return std::unexpected<std::string>("Start of structure or map found where not expected.");
  if (wire.is_array()) return std::unexpected<std::string>("Start of list found where not expected");
  return std::unexpected(fmt::format("{} can not be converted to {}", found_in(wire), wanted));
}

std::string_view wire_name(const Member& member) { return member.wire_name.empty() ? member.name : member.wire_name; }

Typed<Json> structure_from(const Shape& shape, const Json& wire) {
  if (!wire.is_object()) return mismatch(wire, "a Structure");
  Json out = Json::object();
  for (const Member& member : shape.members) {
    const auto found = wire.find(wire_name(member));
    if (found == wire.end() || found->is_null() || member.place != Place::body) continue;
    auto value = from_json(*member.shape, *found);
    if (!value) return value;
    out[member.name] = std::move(*value);
  }
  return out;
}

Typed<Json> list_from(const Shape& shape, const Json& wire) {
  if (!wire.is_array()) return wire.is_object() ? mismatch(wire, "") : std::unexpected<std::string>("Expected list or null");
  Json out = Json::array();
  for (const Json& item : wire) {
    if (item.is_null()) continue;
    auto value = from_json(*shape.element.shape, item);
    if (!value) return value;
    out.push_back(std::move(*value));
  }
  return out;
}

Typed<Json> map_from(const Shape& shape, const Json& wire) {
  if (!wire.is_object()) return wire.is_array() ? mismatch(wire, "") : std::unexpected<std::string>("Expected map or null");
  Json out = Json::object();
  for (const auto& [key, item] : wire.items()) {
    if (item.is_null()) continue;
    auto value = from_json(*shape.value.shape, item);
    if (!value) return value;
    out[key] = std::move(*value);
  }
  return out;
}

Typed<Json> integer_from(const Json& wire, bool is_long) {
  const std::string_view wanted = is_long ? "a Long" : "an Integer";
  if (!wire.is_number()) return mismatch(wire, wanted);
  if (wire.is_number_unsigned() && wire.get<std::uint64_t>() > std::uint64_t{std::numeric_limits<std::int64_t>::max()}) {
    return mismatch(wire, wanted);
  }
  // JavaScript clients may write 1.0 for 1.
  if (wire.is_number_float()) {
    const double number = wire.get<double>();
    if (std::trunc(number) != number || std::abs(number) > 9e15) return mismatch(wire, wanted);
  }
  const auto number = wire.get<std::int64_t>();
  const bool fits = number >= std::numeric_limits<std::int32_t>::min() && number <= std::numeric_limits<std::int32_t>::max();
  if (!is_long && !fits) return mismatch(wire, wanted);
  return number;
}

Typed<Json> timestamp_from(const Json& wire) {
  if (wire.is_number()) return wire;
  if (wire.is_string()) {
    if (const auto time = parse_time(wire.get_ref<const std::string&>())) return to_epoch_seconds(*time);
  }
  return mismatch(wire, "a Timestamp");
}

Typed<Json> blob_from(const Json& wire) {
  if (!wire.is_string()) return mismatch(wire, "a Blob");
  if (!base64_decode(wire.get_ref<const std::string&>())) return std::unexpected<std::string>("Invalid base64 in a Blob");
  return wire;
}

}  // namespace

Typed<Json> parse_object(std::string_view text) {
  if (std::ranges::all_of(text, [](char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; })) return Json::object();
  if (nests_deeper(text)) return std::unexpected(fmt::format("The JSON nests deeper than {} levels", kJsonDepthMax));
  Json parsed = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) return std::unexpected<std::string>("The body is not JSON");
  if (!parsed.is_object()) return std::unexpected<std::string>("The body is not a JSON object");
  return parsed;
}

Typed<Json> from_json(const Shape& shape, const Json& wire) {
  if (shape.document) return wire;
  switch (shape.type) {
    case Type::structure: return structure_from(shape, wire);
    case Type::list: return list_from(shape, wire);
    case Type::map: return map_from(shape, wire);
    case Type::integer: return integer_from(wire, false);
    case Type::long_integer: return integer_from(wire, true);
    case Type::timestamp: return timestamp_from(wire);
    case Type::blob: return blob_from(wire);
    case Type::floating:
      if (!wire.is_number()) return mismatch(wire, "a Double");
      return wire;
    case Type::boolean:
      if (!wire.is_boolean()) return mismatch(wire, "a Boolean");
      return wire;
    case Type::string: break;
  }
  if (!wire.is_string()) return mismatch(wire, "a String");
  return wire;
}

Json to_json(const Shape& shape, const Json& value) {
  if (shape.document) return value;
  if (shape.type == Type::structure && value.is_object()) {
    Json out = Json::object();
    for (const Member& member : shape.members) {
      const auto found = value.find(member.name);
      if (found == value.end() || found->is_null() || member.place != Place::body) continue;
      out[std::string(wire_name(member))] = to_json(*member.shape, *found);
    }
    return out;
  }
  if (shape.type == Type::list && value.is_array()) {
    Json out = Json::array();
    for (const Json& item : value) out.push_back(to_json(*shape.element.shape, item));
    return out;
  }
  if (shape.type == Type::map && value.is_object()) {
    Json out = Json::object();
    for (const auto& [key, item] : value.items()) out[key] = to_json(*shape.value.shape, item);
    return out;
  }
  return value;
}

std::string dump(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace berth::protocol

#include "broker/protocol/text_value.hpp"

#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include <fmt/format.h>

#include "broker/base/encoding.hpp"
#include "broker/protocol/time_format.hpp"

namespace berth::protocol {

using Json = nlohmann::json;
using Scalar = std::expected<Json, std::string>;

namespace {

std::unexpected<std::string> wanted(std::string what) { return std::unexpected(std::move(what)); }

template <class Number>
bool read_number(std::string_view text, Number& number) {
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  return failed == std::errc{} && end == text.data() + text.size();
}

Scalar time_from(std::string_view text) {
  double seconds = 0;
  if (read_number(text, seconds) && std::isfinite(seconds)) return seconds;
  if (const auto time = parse_time(text)) return to_epoch_seconds(*time);
  if (const auto time = parse_http_date(text)) return to_epoch_seconds(*time);
  return wanted("a Timestamp");
}

Scalar boolean_from(std::string_view text) {
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  return wanted("a Boolean");
}

std::string time_to_text(double seconds, TimeFormat format, bool milliseconds) {
  const TimePoint time = time_of(seconds);
  if (format == TimeFormat::http_date) return to_http_date(time);
  if (format == TimeFormat::epoch_seconds) return fmt::format("{}", std::llround(seconds));
  return milliseconds ? to_iso8601_milliseconds(time) : to_iso8601(time);
}

}  // namespace

Scalar scalar_from_text(const Shape& shape, std::string_view text) {
  std::int32_t integer = 0;
  std::int64_t long_integer = 0;
  double number = 0;
  switch (shape.type) {
    case Type::integer: return read_number(text, integer) ? Scalar(integer) : wanted("an Integer");
    case Type::long_integer: return read_number(text, long_integer) ? Scalar(long_integer) : wanted("a Long");
    case Type::floating: return read_number(text, number) && std::isfinite(number) ? Scalar(number) : wanted("a Double");
    case Type::boolean: return boolean_from(text);
    case Type::timestamp: return time_from(text);
    case Type::blob: return base64_decode(text) ? Scalar(std::string(text)) : wanted("base64");
    default: return std::string(text);
  }
}

std::string scalar_to_text(const Shape& shape, const Json& value, TimeFormat times, bool milliseconds) {
  if (shape.type == Type::timestamp && value.is_number()) {
    const TimeFormat own = shape.time_format == TimeFormat::by_protocol ? times : shape.time_format;
    return time_to_text(value.get<double>(), own, milliseconds);
  }
  if (value.is_string()) return value.get<std::string>();
  return value.is_null() ? std::string{} : value.dump();
}

}  // namespace berth::protocol

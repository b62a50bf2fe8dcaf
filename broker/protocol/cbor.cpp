#include "broker/protocol/cbor.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include <nlohmann/json.hpp>

#include "broker/base/encoding.hpp"

namespace berth::protocol {

using Json = nlohmann::json;

namespace {

constexpr int kCborDepthMax = 64;
constexpr std::uint8_t kBreak = 0xff;
constexpr std::uint64_t kIndefinite = std::numeric_limits<std::uint64_t>::max();

enum class Major : std::uint8_t { unsigned_integer, negative_integer, bytes, text, array, map, tag, simple };

// Sets `failed` at the first thing that is wrong and reads nothing from then on.
class CborReader {
  using enum Major;

 public:
  explicit CborReader(std::string_view in) : in_(in) {}

  Json item(int depth = 0) {
    if (depth > kCborDepthMax) return wrong();
    const std::uint8_t head = byte();
    const auto major = static_cast<Major>(head >> 5U);
    if (major == simple) return simple_value(head & 31U);
    const std::uint64_t count = argument(head & 31U);
    switch (major) {
      case unsigned_integer: return count;
      case negative_integer:
        if (count > std::uint64_t{std::numeric_limits<std::int64_t>::max()}) return wrong();
        return -1 - static_cast<std::int64_t>(count);
      case bytes: return base64_encode(string(count, bytes));
      case text: {
        std::string value = string(count, text);
        return is_utf8(value) ? Json(std::move(value)) : wrong();
      }
      case array: return list(count, depth);
      case map: return object(count, depth);
      default: return item(depth + 1);  // a tag says what its item is; the shape says so too
    }
  }
  bool failed() const { return failed_; }
  bool at_end() const { return at_ == in_.size(); }

 private:
  Json wrong() {
    failed_ = true;
    return nullptr;
  }
  std::uint8_t byte() {
    if (failed_ || at_ >= in_.size()) return failed_ = true, 0;
    return static_cast<std::uint8_t>(in_[at_++]);
  }
  std::uint64_t big_endian(unsigned size) {
    std::uint64_t value = 0;
    for (unsigned i = 0; i < size; ++i) value = value << 8U | byte();
    return value;
  }
  std::uint64_t argument(unsigned info) {
    if (info < 24) return info;
    if (info == 31) return kIndefinite;
    if (info > 27) return failed_ = true, 0;
    return big_endian(1U << (info - 24));
  }
  bool at_break() {
    if (failed_ || at_ >= in_.size()) return failed_ = true;
    if (static_cast<std::uint8_t>(in_[at_]) != kBreak) return false;
    ++at_;
    return true;
  }

  std::string string(std::uint64_t count, Major major) {
    std::string value;
    if (count != kIndefinite) {
      if (failed_ || count > in_.size() - at_) return failed_ = true, value;
      value = in_.substr(at_, count);
      at_ += count;
      return value;
    }
    while (!at_break()) {
      const std::uint8_t head = byte();
      if (static_cast<Major>(head >> 5U) != major || (head & 31U) == 31) return failed_ = true, value;
      value += string(argument(head & 31U), major);
    }
    return value;
  }

  Json list(std::uint64_t count, int depth) {
    Json value = Json::array();
    for (std::uint64_t i = 0; !failed_ && (count == kIndefinite ? !at_break() : i < count); ++i) value.push_back(item(depth + 1));
    return value;
  }

  Json object(std::uint64_t count, int depth) {
    Json value = Json::object();
    for (std::uint64_t i = 0; !failed_ && (count == kIndefinite ? !at_break() : i < count); ++i) {
      const Json key = item(depth + 1);
      if (!key.is_string()) return wrong();
      value[key.get<std::string>()] = item(depth + 1);
    }
    return value;
  }

  Json simple_value(unsigned info) {
    switch (info) {
      case 20: return false;
      case 21: return true;
      case 22:
      case 23: return nullptr;
      case 25: return half(static_cast<std::uint16_t>(big_endian(2)));
      case 26: return finite(std::bit_cast<float>(static_cast<std::uint32_t>(big_endian(4))));
      case 27: return finite(std::bit_cast<double>(big_endian(8)));
      default: return wrong();
    }
  }
  // JSON has no others, and no shape wants one.
  Json finite(double number) { return std::isfinite(number) ? Json(number) : wrong(); }
  Json half(std::uint16_t bits) {
    const auto exponent = static_cast<int>(bits >> 10U & 31U);
    const auto fraction = static_cast<int>(bits & 1023U);
    if (exponent == 31) return wrong();
    const double size = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(fraction + 1024, exponent - 25);
    return (bits & 0x8000U) != 0 ? -size : size;
  }

  std::string_view in_;
  std::size_t at_ = 0;
  bool failed_ = false;
};

void write_big_endian(std::string& out, std::uint64_t value, unsigned size) {
  for (unsigned i = size; i-- > 0;) out += static_cast<char>(value >> (8 * i));
}

void write_head(std::string& out, Major major, std::uint64_t count) {
  const auto first = static_cast<unsigned>(major) << 5U;
  if (count < 24) {
    out += static_cast<char>(first | count);
    return;
  }
  const unsigned power = count <= 0xff ? 0 : count <= 0xffff ? 1 : count <= 0xffffffff ? 2 : 3;
  out += static_cast<char>(first | (24 + power));
  write_big_endian(out, count, 1U << power);
}

void write_text(std::string& out, std::string_view value) {
  write_head(out, Major::text, value.size());
  out += value;
}

void write_double(std::string& out, double value) {
  out += static_cast<char>(0xfb);
  write_big_endian(out, std::bit_cast<std::uint64_t>(value), 8);
}

void write_scalar(std::string& out, const Shape& shape, const Json& value) {
  using enum Major;
  if (shape.type == Type::timestamp) {
    write_head(out, tag, 1);
    return write_double(out, value.get<double>());
  }
  if (shape.type == Type::blob) {
    const std::string raw = base64_decode(value.get<std::string>()).value_or("");
    write_head(out, bytes, raw.size());
    out += raw;
  } else if (value.is_string()) {
    write_text(out, value.get_ref<const std::string&>());
  } else if (value.is_boolean()) {
    out += static_cast<char>(value.get<bool>() ? 0xf5 : 0xf4);
  } else if (shape.type == Type::floating) {
    write_double(out, value.get<double>());
  } else if (value.is_number_unsigned() || value.get<std::int64_t>() >= 0) {
    write_head(out, unsigned_integer, value.get<std::uint64_t>());
  } else {
    write_head(out, negative_integer, static_cast<std::uint64_t>(-1 - value.get<std::int64_t>()));
  }
}

void write(std::string& out, const Shape& shape, const Json& value) {
  using enum Major;
  if (shape.type == Type::structure && value.is_object()) {
    out += static_cast<char>(0xbf);
    for (const Member& member : shape.members) {
      const auto found = value.find(member.name);
      if (found == value.end() || found->is_null()) continue;
      write_text(out, member.name);
      write(out, *member.shape, *found);
    }
    out += static_cast<char>(kBreak);
  } else if (shape.type == Type::list && value.is_array()) {
    write_head(out, array, value.size());
    for (const Json& item : value) write(out, *shape.element.shape, item);
  } else if (shape.type == Type::map && value.is_object()) {
    write_head(out, map, value.size());
    for (const auto& [key, item] : value.items()) {
      write_text(out, key);
      write(out, *shape.value.shape, item);
    }
  } else {
    write_scalar(out, shape, value);
  }
}

}  // namespace

Typed<Json> parse_cbor(std::string_view in) {
  CborReader reader(in);
  Json value = reader.item();
  if (reader.failed() || !reader.at_end()) return std::unexpected<std::string>("The body is not CBOR that can be read");
  return value;
}

std::string to_cbor(const Shape& shape, const Json& value) {
  std::string out;
  write(out, shape, value);
  return out;
}

}  // namespace berth::protocol

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <string>

#include "credentials/policy/condition.hpp"

namespace berth::credentials {

Result<AddressRange> parse_address_range(std::string_view text) {
  const auto slash = text.find('/');
  const std::string address(text.substr(0, slash));
  AddressRange range;
  int bits = 128;
  if (in_addr v4{}; inet_pton(AF_INET, address.c_str(), &v4) == 1) {
    bits = 32;
    range.address[10] = range.address[11] = 0xFF;
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(&v4);
    std::copy_n(bytes, 4, range.address.begin() + 12);
  } else if (inet_pton(AF_INET6, address.c_str(), range.address.data()) != 1) {
    return fail(Code::invalid_argument, "`{}` is not an IP address or range", text);
  }
  int length = bits;
  if (slash != std::string_view::npos) {
    const auto digits = text.substr(slash + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
    if (error != std::errc{} || end != digits.data() + digits.size() || length < 0 || length > bits) {
      return fail(Code::invalid_argument, "`{}` is not an IP address or range", text);
    }
  }
  range.prefix_length = length + (128 - bits);
  return range;
}

bool AddressRange::contains(const AddressRange& one) const {
  if (one.prefix_length < prefix_length) return false;
  const auto whole = static_cast<std::size_t>(prefix_length / 8);
  if (!std::equal(address.begin(), address.begin() + prefix_length / 8, one.address.begin())) return false;
  const int rest = prefix_length % 8;
  if (rest == 0) return true;
  const int mask = 0xFF << (8 - rest) & 0xFF;
  return (address[whole] & mask) == (one.address[whole] & mask);
}

}  // namespace berth::credentials

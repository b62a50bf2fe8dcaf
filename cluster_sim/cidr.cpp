#include <bit>
#include <charconv>

#include "cluster_sim/network.hpp"

namespace berth::cluster_sim {
namespace {

std::uint32_t mask_of(unsigned prefix_length) { return prefix_length == 0 ? 0 : ~std::uint32_t{0} << (32 - prefix_length); }

// Reads a decimal number of at most `largest` and steps behind it. No sign, no leading zeroes: `010` means 8 to some readers.
std::optional<unsigned> take_number(std::string_view& text, unsigned largest) {
  if (text.empty() || text[0] < '0' || text[0] > '9') return std::nullopt;
  if (text[0] == '0' && text.size() > 1 && text[1] >= '0' && text[1] <= '9') return std::nullopt;
  unsigned value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || value > largest) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

std::optional<std::uint32_t> take_address(std::string_view& text) {
  std::uint32_t address = 0;
  for (int part = 0; part < 4; ++part) {
    if (part > 0) {
      if (text.empty() || text[0] != '.') return std::nullopt;
      text.remove_prefix(1);
    }
    auto number = take_number(text, 255);
    if (!number) return std::nullopt;
    address = address << 8 | *number;
  }
  return address;
}

}  // namespace

bool Cidr::contains(std::uint32_t other) const { return ((address ^ other) & mask_of(prefix_length)) == 0; }
bool Cidr::contains(const Cidr& other) const { return other.prefix_length >= prefix_length && contains(other.address); }
bool Cidr::overlaps(const Cidr& other) const { return contains(other.address) || other.contains(address); }
std::string Cidr::str() const { return fmt::format("{}/{}", address_text(address), prefix_length); }

Result<Cidr> parse_cidr(std::string_view text) {
  std::string_view rest = text;
  auto address = take_address(rest);
  if (!address || rest.empty() || rest[0] != '/') return fail(Code::invalid_argument, "`{}` is not an IPv4 block", text);
  rest.remove_prefix(1);
  auto length = take_number(rest, 32);
  if (!length || !rest.empty()) return fail(Code::invalid_argument, "`{}` is not an IPv4 block", text);
  if ((*address & ~mask_of(*length)) != 0) return fail(Code::invalid_argument, "`{}` has bits behind its prefix", text);
  return Cidr{*address, *length};
}

std::string address_text(std::uint32_t address) {
  return fmt::format("{}.{}.{}.{}", address >> 24, address >> 16 & 255, address >> 8 & 255, address & 255);
}

Result<std::uint32_t> parse_address(std::string_view text) {
  std::string_view rest = text;
  auto address = take_address(rest);
  if (!address || !rest.empty()) return fail(Code::invalid_argument, "`{}` is not an IPv4 address", text);
  return *address;
}

std::uint32_t Subnet::free_addresses() const {
  const std::uint64_t all = std::uint64_t{1} << (32 - block.prefix_length);
  const std::uint64_t taken = used.size() + 5;
  return taken >= all ? 0 : static_cast<std::uint32_t>(all - taken);
}

}  // namespace berth::cluster_sim

#include "broker/services/ecs/task_size.hpp"

#include <charconv>
#include <cmath>
#include <string>

namespace berth::services::ecs {

namespace {

std::string without_spaces_in_lower_case(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == ' ') continue;
    result += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return result;
}

// Plain numbers are whole; a number with `unit` may have a fraction and counts 1024.
std::optional<int> parse_amount(std::string_view text, std::string_view unit) {
  auto amount = without_spaces_in_lower_case(text);
  const bool in_units = amount.ends_with(unit);
  if (in_units) amount.resize(amount.size() - unit.size());
  double value = 0;
  const auto* end = amount.data() + amount.size();
  const auto read = std::from_chars(amount.data(), end, value, std::chars_format::fixed);
  if (amount.empty() || read.ec != std::errc() || read.ptr != end) return std::nullopt;
  if (in_units) value *= 1024;
  constexpr double kAmountMax = 1 << 24;  // 16 TiB: beyond any machine
  if (value < 1 || value > kAmountMax || value != std::floor(value)) return std::nullopt;
  return static_cast<int>(value);
}

}  // namespace

std::optional<int> parse_cpu_units(std::string_view text) { return parse_amount(text, "vcpu"); }
std::optional<int> parse_memory_mib(std::string_view text) { return parse_amount(text, "gb"); }

}  // namespace berth::services::ecs

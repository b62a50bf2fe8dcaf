#include "broker/base/regex_numbers.hpp"

#include <cstddef>

namespace berth {

bool numbers_are_small(std::string_view pattern) {
  constexpr std::size_t kDigitsMax = 5;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '{' && pattern[i] != '\\') continue;
    std::size_t digits = 0;
    for (++i; i < pattern.size() && ((pattern[i] >= '0' && pattern[i] <= '9') || pattern[i] == ','); ++i) {
      digits = pattern[i] == ',' ? 0 : digits + 1;
      if (digits > kDigitsMax) return false;
    }
    --i;  // it may begin the next one
  }
  return true;
}

}  // namespace berth

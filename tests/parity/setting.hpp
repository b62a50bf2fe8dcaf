// setting(): a number from the environment, for the long form of a test.
#pragma once

#include <cstdint>
#include <cstdlib>

namespace berth::parity {

inline std::uint64_t setting(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

}  // namespace berth::parity

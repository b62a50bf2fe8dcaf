// What a test needs from the machine: skips with the reason where it is missing, fails where BERTH_NO_SKIP=1 (CI).
#pragma once

#include <cstdlib>
#include <string_view>

#include <gtest/gtest.h>

namespace berth::test {

inline bool skipping_is_forbidden() {
  const char* value = std::getenv("BERTH_NO_SKIP");
  return value != nullptr && std::string_view{value} == "1";
}

}  // namespace berth::test

#define BERTH_NEEDS(condition, reason)                                             \
  do {                                                                             \
    if (!(condition)) {                                                            \
      if (berth::test::skipping_is_forbidden()) FAIL() << "missing: " << (reason); \
      GTEST_SKIP() << "missing: " << (reason);                                     \
    }                                                                              \
  } while (false)

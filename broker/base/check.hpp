// CHECK: a broken invariant of our own ends the process, in release builds too. Outside input never reaches one.
#pragma once

namespace berth::internal {
[[noreturn]] void check_failed(const char* expression, const char* file, int line);
}

#define BERTH_CHECK(expression) \
  ((expression) ? static_cast<void>(0) : ::berth::internal::check_failed(#expression, __FILE__, __LINE__))

#include "broker/base/check.hpp"

#include <cstdio>
#include <cstdlib>

namespace berth::internal {

void check_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: broken invariant: %s\n", file, line, expression);
  std::abort();
}

}  // namespace berth::internal

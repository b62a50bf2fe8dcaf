#include "fuse/linger.hpp"

#include <algorithm>

namespace berth::fuse {

void Linger::woken(TimePoint now, Duration longest) {
  const TimePoint asleep_since{TimePoint::duration(asleep_since_.load(std::memory_order_relaxed))};
  const bool soon = now - asleep_since <= longest;
  const Duration longer = std::max(kFirst, 2 * window());
  window_.store(soon ? std::min(longer, longest).count() : 0, std::memory_order_relaxed);
}

}  // namespace berth::fuse

#include "fuse/linger.hpp"

#include <algorithm>

namespace berth::fuse {

void Linger::woken(TimePoint now, Duration longest) {
  const TimePoint asleep_since{TimePoint::duration(asleep_since_.load(std::memory_order_relaxed))};
  const bool soon = now - asleep_since <= longest;
  const Duration longer = std::max(kFirst, 2 * Duration(window_.load(std::memory_order_relaxed)));
  window_.store(soon ? std::min(longer, longest).count() : 0, std::memory_order_relaxed);
}

void Linger::gave_way(TimePoint then, TimePoint now) {
  if (now - then < kCrowded) return;
  const bool again = now - crowded_until() < kPauseLast;
  const Duration pause = again ? std::min(2 * Duration(pause_.load(std::memory_order_relaxed)), kPauseLast) : kPauseFirst;
  pause_.store(pause.count(), std::memory_order_relaxed);
  crowded_until_.store((now + pause).time_since_epoch().count(), std::memory_order_relaxed);
}

}  // namespace berth::fuse

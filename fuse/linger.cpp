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
  if (now - then < kLong) return;
  const TimePoint before(Duration(lost_at_.exchange(now.time_since_epoch().count(), std::memory_order_relaxed)));
  const Duration left = Duration(lost_.load(std::memory_order_relaxed)) - (now - before) / kShareLost;
  const Duration lost = std::max(left, Duration(0)) + (now - then);
  const bool crowded = lost >= kLostMost;
  lost_.store(crowded ? 0 : lost.count(), std::memory_order_relaxed);
  if (crowded) pause(now);
}

void Linger::pause(TimePoint now) {
  const Duration last(pause_.load(std::memory_order_relaxed));
  const bool again = now - crowded_until() < 2 * last;
  const Duration next = again ? std::min(2 * last, kPauseLast) : kPauseFirst;
  pause_.store(next.count(), std::memory_order_relaxed);
  crowded_until_.store((now + next).time_since_epoch().count(), std::memory_order_relaxed);
}

}  // namespace berth::fuse

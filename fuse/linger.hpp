// Linger: for how long a worker looks for a mount's next request before it goes to sleep.
//
// Waking a sleeping thread on another processor costs more than most requests (20 us and more on a virtual machine), and a
// program's next request often comes within that time. So a worker that has answered looks on for a moment. The moment grows
// while the next request keeps coming soon after, and is nothing once it does not (as KVM's halt polling does it). Lock-free;
// races lose a hint at worst. Time comes in.
#pragma once

#include <atomic>
#include <chrono>

namespace berth::fuse {

class Linger {
 public:
  using Duration = std::chrono::nanoseconds;
  using TimePoint = std::chrono::steady_clock::time_point;

  // A worker goes to sleep now.
  void slept(TimePoint now) { asleep_since_.store(now.time_since_epoch().count(), std::memory_order_relaxed); }
  // A request came to a worker that slept.
  void woken(TimePoint now, Duration longest);
  // The worker gave its processor away for a moment, which lasted from then until now: where others want it, too, that is
  // long, and requests wait meanwhile. Where much time is lost so, it is not done again for a while, the longer the more often.
  void gave_way(TimePoint then, TimePoint now);
  // How long to look on from now.
  Duration window(TimePoint now) const {
    return now < crowded_until() ? Duration(0) : Duration(window_.load(std::memory_order_relaxed));
  }

 private:
  static constexpr Duration kFirst = std::chrono::microseconds(10);
  static constexpr Duration kLong = std::chrono::microseconds(200);
  // One part in so many may be lost: a real-time worker leaves that much to others. And so much more at once.
  static constexpr int kShareLost = 8;
  static constexpr Duration kLostMost = std::chrono::milliseconds(50);
  static constexpr Duration kPauseFirst = std::chrono::milliseconds(50);
  static constexpr Duration kPauseLast = std::chrono::seconds(2);

  void pause(TimePoint now);
  TimePoint crowded_until() const { return TimePoint(Duration(crowded_until_.load(std::memory_order_relaxed))); }

  std::atomic<Duration::rep> window_ = 0;
  std::atomic<TimePoint::rep> asleep_since_ = 0;
  std::atomic<Duration::rep> lost_ = 0;
  std::atomic<TimePoint::rep> lost_at_ = 0;
  std::atomic<TimePoint::rep> crowded_until_ = 0;
  std::atomic<Duration::rep> pause_ = 0;
};

}  // namespace berth::fuse

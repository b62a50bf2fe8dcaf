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
  Duration window() const { return Duration(window_.load(std::memory_order_relaxed)); }

 private:
  static constexpr Duration kFirst = std::chrono::microseconds(10);

  std::atomic<Duration::rep> window_ = 0;
  std::atomic<TimePoint::rep> asleep_since_ = 0;
};

}  // namespace berth::fuse

// Pace: whether a mount's requests have lately taken long, so that the next ones are expected to. Lock-free; races lose a
// hint at worst.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace berth::fuse {

class Pace {
 public:
  using Duration = std::chrono::nanoseconds;

  bool slow() const { return slow_.load(std::memory_order_relaxed) != 0; }
  // A request was served, and took so long.
  void served(Duration took) {
    const std::uint32_t slow = slow_.load(std::memory_order_relaxed);
    if (took >= kLong) {
      slow_.store(kRequests, std::memory_order_relaxed);
    } else if (slow != 0) {
      slow_.store(slow - 1, std::memory_order_relaxed);
    }
  }
  // One takes long and is not done yet.
  void stuck() { slow_.store(kRequests, std::memory_order_relaxed); }

 private:
  static constexpr Duration kLong = std::chrono::milliseconds(1);
  static constexpr std::uint32_t kRequests = 32;  // for so many

  std::atomic<std::uint32_t> slow_ = 0;
};

}  // namespace berth::fuse

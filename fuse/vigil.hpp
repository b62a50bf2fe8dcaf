// Vigil: keeps a virtual machine's idle processors from halting while requests come in quick succession.
//
// A program that waits for each answer and the worker that gives it run by turns, mostly on two processors, one of them idle. To
// wake a halted processor of a virtual machine takes several times as long as all the rest of a request, as both halting and
// waking leave the machine; one that polls is woken by a store to memory. The kernel lets a process ask for that by
// /dev/cpu_dma_latency (Documentation/power/pm_qos_interface.rst). It costs the host those processors meanwhile: so it is asked
// for only while requests come soon after one another. Thread-safe; time comes in.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <utility>

namespace berth::fuse {

class Vigil {
 public:
  using Duration = std::chrono::nanoseconds;
  using TimePoint = std::chrono::steady_clock::time_point;
  // `keep_awake` asks for the processors to stay awake (true), and no longer (false). Without one it never does.
  explicit Vigil(std::function<void(bool)> keep_awake) : keep_awake_(std::move(keep_awake)) {}
  ~Vigil() { end(); }
  Vigil(const Vigil&) = delete;
  Vigil& operator=(const Vigil&) = delete;

  // A request came to a worker that had waited for so long.
  void came_after(Duration wait);
  // One was served, by whichever thread.
  void served(TimePoint now) {
    if (kept()) last_served_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  }
  // None has come for kPatience to whoever waits for them: ends it, unless others serve.
  void none_came(TimePoint now);
  void end();
  bool kept() const { return kept_.load(std::memory_order_relaxed); }

  static constexpr std::chrono::milliseconds kPatience{2};

 private:
  static constexpr Duration kSoon = std::chrono::microseconds(100);
  // So many in a row begin and end it.
  static constexpr unsigned kManySoon = 4;
  static constexpr unsigned kManyLate = 16;

  void begin();

  const std::function<void(bool)> keep_awake_;
  // In a row; races lose some.
  std::atomic<unsigned> soon_ = 0;
  std::atomic<unsigned> late_ = 0;
  std::atomic<TimePoint::rep> last_served_ = 0;
  std::atomic<bool> kept_ = false;
  std::mutex mutex_;  // of what the kernel is asked
};

// For Vigil, on this machine: empty where idle processors do not halt, or where we may not ask.
std::function<void(bool)> processors_awake();

}  // namespace berth::fuse

// Timers: functions that run later, or again and again, on one thread of their own.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

namespace berth::daemon {

// Thread-safe. Functions may block a little: they only hold each other up.
class Timers {
 public:
  Timers();
  // Runs nothing any more; waits for the function that runs.
  ~Timers();
  Timers(const Timers&) = delete;
  Timers& operator=(const Timers&) = delete;

  void after(std::chrono::milliseconds delay, std::function<void()> function);
  // First after `period`, then `period` after each end.
  void every(std::chrono::milliseconds period, std::function<void()> function);

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::multimap<std::chrono::steady_clock::time_point, std::function<void()>> agenda_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace berth::daemon

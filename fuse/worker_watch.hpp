// WorkerWatch: notices a worker that takes long over one request, which nobody can know before.
//
// A thread that looks at all workers every few milliseconds while any of them serves, and sleeps while none does.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

#include "fuse/inode_key.hpp"
#include "fuse/layout.hpp"

namespace berth::fuse {

class WorkerWatch {
 public:
  // `stuck` is called, some times in a row, with a worker that has not come on since the last look, and its mount.
  explicit WorkerWatch(std::function<void(unsigned worker, MountNumber mount)> stuck) : stuck_(std::move(stuck)) {}
  ~WorkerWatch() { stop(); }
  WorkerWatch(const WorkerWatch&) = delete;
  WorkerWatch& operator=(const WorkerWatch&) = delete;

  void start();
  void stop();

  // Two or three stores a request.
  void begin(unsigned worker, MountNumber mount) {
    Seat& seat = seats_[worker];
    seat.requests.store(seat.requests.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    seat.mount = mount;  // before it is read whether anybody looks: who stops looking reads it after having said so
    if (!looking_) wake();
  }
  bool looking() const { return looking_; }
  void end(unsigned worker) { seats_[worker].mount.store(0, std::memory_order_relaxed); }

 private:
  struct alignas(64) Seat {
    std::atomic<MountNumber> mount = 0;  // 0: serves nothing
    std::atomic<std::uint32_t> requests = 0;
  };
  struct Seen {
    MountNumber mount = 0;
    std::uint32_t requests = 0;
    unsigned times = 0;
  };

  void run();
  void look();
  bool anybody_serves() const;
  void wake();

  const std::function<void(unsigned worker, MountNumber mount)> stuck_;
  std::array<Seat, MountHeader::kWorkersMax> seats_;
  std::array<Seen, MountHeader::kWorkersMax> seen_;
  std::atomic<bool> looking_ = true;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::jthread thread_;
};

}  // namespace berth::fuse

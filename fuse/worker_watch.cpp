#include "fuse/worker_watch.hpp"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <csignal>

namespace berth::fuse {
namespace {

// A request that takes long holds up others of its mount for up to two of these.
constexpr std::chrono::milliseconds kEvery{2};
// Then it need not be told any more.
constexpr unsigned kTimesStuck = 3;
// So many looks at nothing were the last.
constexpr unsigned kQuiet = 20;

}  // namespace

void WorkerWatch::start() {
  thread_ = std::jthread([this] { run(); });
}

void WorkerWatch::stop() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void WorkerWatch::run() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);  // signals are the daemon's other threads' business
  unsigned quiet = 0;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    quiet = anybody_serves() ? 0 : quiet + 1;
    if (quiet == kQuiet) {
      looking_ = false;
      changed_.wait(lock, [&] { return stopping_ || looking_ || anybody_serves(); });
      looking_ = true;
      quiet = 0;
    } else if (!changed_.wait_for(lock, kEvery, [&] { return stopping_; })) {
      lock.unlock();
      look();
      lock.lock();
    }
  }
}

void WorkerWatch::look() {
  for (unsigned worker = 0; worker < seats_.size(); ++worker) {
    const MountNumber mount = seats_[worker].mount;
    const std::uint32_t requests = seats_[worker].requests;
    Seen& seen = seen_[worker];
    if (mount == 0 || seen.mount != mount || seen.requests != requests) {
      seen = {mount, requests, 0};
    } else if (++seen.times <= kTimesStuck) {
      stuck_(worker, mount);
    }
  }
}

bool WorkerWatch::anybody_serves() const {
  return std::ranges::any_of(seats_, [](const Seat& seat) { return seat.mount != 0; });
}

void WorkerWatch::wake() {
  const std::scoped_lock lock(mutex_);
  looking_ = true;
  changed_.notify_all();
}

}  // namespace berth::fuse

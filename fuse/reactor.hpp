// Reactor: one epoll over the devices of all mounts, and a few threads that serve whichever has a request.
//
// One worker waits at the epoll (Post), first looking on for a moment where the next request tends to come soon (Linger). It
// serves what comes and looks again; no other worker is woken for what comes meanwhile. Unless requests take long or more come
// than it can serve: then it leaves its place to the next one before it serves, so that requests, of one mount too, are served in
// parallel; and stays with the mount as long as requests keep coming. What will take long is known of some operations (Standby),
// expected after others did (Pace), or found out (WorkerWatch). An idle mount costs no thread.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <unordered_map>
#include <vector>

#include "broker/base/error.hpp"
#include "broker/base/unique_fd.hpp"
#include "fuse/brief_mutex.hpp"
#include "fuse/linger.hpp"
#include "fuse/mount.hpp"
#include "fuse/post.hpp"
#include "fuse/vigil.hpp"
#include "fuse/worker_watch.hpp"
#include "fuse/zones/gates.hpp"

namespace berth::fuse {

class Reactor {
 public:
  // `gone` is called on a worker when the kernel's side of a mount has ended. `linger`: for how long a worker looks for the
  // next request at most, before it sleeps.
  Reactor(Common& common, std::chrono::nanoseconds linger, std::function<void(MountNumber)> gone);
  ~Reactor();

  Result<> start(unsigned workers);
  Result<> add(std::shared_ptr<Mount> mount);
  // No request of the mount is begun after this; one that is being served ends by itself.
  void remove(MountNumber number);
  void stop();
  // One request that was read; on a thread like a worker's. False where it is held back.
  bool serve(Mount& mount, std::span<std::byte> request, unsigned worker);

 private:
  using Clock = std::chrono::steady_clock;

  class Worker;

  // What the epoll says, by data; nothing where it says nothing in time.
  std::optional<std::uint64_t> look(int milliseconds);
  std::optional<std::uint64_t> look_on();
  void stuck(unsigned worker, MountNumber number);
  std::shared_ptr<Mount> find(MountNumber number) const;

  Common& common_;
  std::function<void(MountNumber)> gone_;
  const std::chrono::nanoseconds linger_longest_;
  Linger linger_;
  Vigil vigil_;
  unsigned most_ = 1;  // workers that serve at once without need
  std::atomic<unsigned> serving_ = 0;
  std::atomic<bool> stopping_ = false;
  Post post_;
  std::array<std::atomic<bool>, MountHeader::kWorkersMax> at_post_{};  // by worker; the watch takes it from one that is stuck
  WorkerWatch watch_;
  UniqueFd epoll_;
  UniqueFd stop_;
  mutable BriefMutex mutex_;
  std::unordered_map<MountNumber, std::shared_ptr<Mount>> mounts_;
  std::vector<std::jthread> threads_;
};

}  // namespace berth::fuse

// Reactor: one epoll over the devices of all mounts, and a few threads that serve whichever has a request.
//
// A device is armed for one event at a time and armed again as soon as its request has been read: requests of one mount are
// served in parallel, and an idle mount costs no thread. A worker that has answered may look on for the next request of the
// mount for a moment (Linger).
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <unordered_map>
#include <vector>

#include "broker/base/error.hpp"
#include "broker/base/unique_fd.hpp"
#include "fuse/mount.hpp"
#include "fuse/zones/gates.hpp"

namespace berth::fuse {

class Reactor {
 public:
  // `gone` is called on a worker when the kernel's side of a mount has ended. `linger`: for how long a worker looks for a
  // mount's next request at most, before it sleeps.
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

  void work(unsigned worker, std::span<std::byte> buffer);
  void arm(const Mount& mount, bool on);
  Answer<std::size_t> linger(Mount& mount, std::span<std::byte> buffer, unsigned worker);
  void turn(MountNumber number, std::span<std::byte> buffer, unsigned worker);
  std::shared_ptr<Mount> find(MountNumber number) const;

  // True where the request is not to be served now.
  bool held_back(Mount& mount, std::span<const std::byte> request);
  // A request that was parked and whose time has come, if any.
  void serve_due(unsigned worker);

  Common& common_;
  std::function<void(MountNumber)> gone_;
  const std::chrono::nanoseconds linger_longest_;
  const unsigned lingering_max_;
  std::atomic<unsigned> lingering_ = 0;
  UniqueFd epoll_;
  UniqueFd stop_;
  mutable std::mutex mutex_;
  std::unordered_map<MountNumber, std::shared_ptr<Mount>> mounts_;
  std::vector<std::jthread> threads_;
};

}  // namespace berth::fuse

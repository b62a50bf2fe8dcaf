// ServedShare: a share served by a process of its own and mounted at directories of the test's private mount namespace.
//
// The server is another process, so that a failed test never waits for itself on its own mount; when the test ends it is
// killed, which ends the mounts.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "broker/base/clock.hpp"
#include "broker/base/unique_fd.hpp"
#include "fuse/share.hpp"

namespace berth::fuse::test {

// Stands still until it is moved, from any thread.
class MovedClock final : public Clock {
 public:
  TimePoint now() const override { return TimePoint(std::chrono::microseconds(now_.load())); }
  void advance(std::chrono::microseconds by) { now_ += by.count(); }

 private:
  std::atomic<std::int64_t> now_ = 1'700'000'000'000'000;
};

struct Place {
  MountSpec spec;
  std::string path;  // made where missing
};

// Why real mounts can't be made here; empty where they can. Moves the process into a private mount namespace, once. With
// BERTH_TEST_IO_URING=1 all mounts are over io_uring, and what that needs is asked for, too.
std::string why_no_mounts();
// The same for mounts over io_uring. The kernel's switch for them is on until the process ends.
std::string why_no_ring();
// Linux of this version or a later one.
bool kernel_is_at_least(int major, int minor);
inline constexpr const char* kRingSwitch = "/sys/module/fuse/parameters/enable_uring";

class ServedShare {
 public:
  explicit ServedShare(const std::vector<Place>& places, Share::Options options = {});
  ServedShare(const ServedShare&) = delete;
  ServedShare& operator=(const ServedShare&) = delete;
  ~ServedShare();

  // Empty where all was mounted.
  const std::string& error() const { return error_; }
  bool set_rights(const MountId& id, Rights rights);
  void detach(const MountId& id);
  // Of all mounts, by the daemon's own count.
  std::size_t mounts_alive();
  // Whether the kernel serves the data of open files itself: not with a kernel before 6.9 or a libfuse before 3.17.
  bool passthrough();
  // Whether the kernel has agreed to send requests over io_uring.
  bool over_ring();
  void set_network(const zones::Network& network);
  void set_throughput(const std::string& file_system, const zones::Allowance& allowance, double credits = zones::kFirstCredits);
  void no_throughput(const std::string& file_system);
  // Moves the server's clock (Options::clock must be a MovedClock).
  void advance(std::chrono::microseconds by);
  // Requests of the mount that are held back now.
  std::size_t parked(const MountId& id);
  // Asks until there are `count`.
  void wait_for_parked(const MountId& id, std::size_t count);

 private:
  std::string ask(const std::string& command);
  void wait_for_init();

  std::vector<std::string> paths_;
  UniqueFd control_;
  pid_t server_ = -1;
  std::string error_;
};

// A directory of the test's own, removed with everything in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Runs a shell command as this user (uid, gid, groups); its exit status, with its output in the test's log if it fails.
struct As {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
};
int shell(const std::string& command, const As& as = {});
// What it writes to standard output, without the last line break.
std::string output_of(const std::string& command, const As& as = {});

// Runs `body` in a child as this user: its result is the exit status (0..255). For system calls whose errno is the answer.
template <class Body>
int in_child(const As& as, Body&& body);

}  // namespace berth::fuse::test

#include "tests/kernel_share/served_share_inl.hpp"

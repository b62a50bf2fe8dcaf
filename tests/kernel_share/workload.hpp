// Workload: processes that do everything a program does with files, and check each answer.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "broker/base/unique_fd.hpp"

namespace berth::fuse::test {

class Workload {
 public:
  // The processes are spread over the mounts, which are of one file system.
  Workload(const std::vector<std::string>& mounts, int processes);
  ~Workload();
  Workload(const Workload&) = delete;
  Workload& operator=(const Workload&) = delete;

  // False where a process failed: stop() says how.
  bool wait_for_rounds(int rounds);
  // Ends it; what went wrong, empty where nothing did.
  std::string stop();

  // The longest that one system call took, and how many were made, by all processes so far.
  std::chrono::milliseconds longest_pause() const { return std::chrono::milliseconds(shared_->longest_ms.load()); }
  std::uint64_t calls() const { return shared_->calls; }
  struct Shared {  // seen by all processes
    std::atomic<int> posix_holder = 0;
    std::atomic<int> flock_holder = 0;
    std::atomic<std::int64_t> longest_ms = 0;
    std::atomic<std::uint64_t> calls = 0;
  };

 private:
  Shared* shared_ = nullptr;
  UniqueFd progress_;  // a byte a round; `!` and a message for a failure
  std::vector<pid_t> processes_;
  std::string failure_;
};

}  // namespace berth::fuse::test

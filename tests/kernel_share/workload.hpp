// Workload: processes that do everything a program does with files, and check each answer.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "broker/base/unique_fd.hpp"

namespace berth::fuse::test {

class Workload {
 public:
  Workload(const std::string& directory, int processes);
  ~Workload();
  Workload(const Workload&) = delete;
  Workload& operator=(const Workload&) = delete;

  // False where a process failed: stop() says how.
  bool wait_for_rounds(int rounds);
  // Ends it; what went wrong, empty where nothing did.
  std::string stop();

 private:
  UniqueFd progress_;  // a byte a round; `!` and a message for a failure
  std::vector<pid_t> processes_;
  std::string failure_;
};

}  // namespace berth::fuse::test

// Reads a task's kept output from the daemon, piece by piece.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "broker/base/error.hpp"

namespace berth::cli {

// How lines are printed.
struct LogStyle {
  bool timestamps = false;
  bool container_names = false;
  bool json = false;  // an object a line, all on standard output
};

// Follows one container's output. Lines go to standard output or standard error, as the container wrote them.
class LogReader {
 public:
  LogReader(std::string state_directory, std::string task, std::string container, LogStyle style)
      : state_directory_(std::move(state_directory)), task_(std::move(task)), container_(std::move(container)), style_(style) {}

  // Prints what is new, waiting up to `wait_ms` for it. True once the task has stopped and all is printed.
  Result<bool> step(int wait_ms);

 private:
  void print(std::string_view line) const;

  std::string state_directory_, task_, container_;
  LogStyle style_;
  std::size_t offset_ = 0;
  std::string rest_;  // the beginning of a line whose end has not come yet
};

}  // namespace berth::cli

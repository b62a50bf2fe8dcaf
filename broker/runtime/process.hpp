// Runs a helper program (the OCI runtime, tar) and waits for it. Never through a shell.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "broker/base/error.hpp"

namespace berth::runtime {

struct Command {
  std::vector<std::string> arguments;  // [0] is the program, looked up in PATH
  // Descriptors that it gets as 1 and 2; -1: both are collected in Finished::output.
  int standard_output = -1, standard_error = -1;
  std::chrono::milliseconds timeout{60'000};  // then it is killed and the call fails with Code::unavailable
};

struct Finished {
  int exit_code = 0;   // 128 + signal where a signal ended it
  std::string output;  // at most 64 KiB
};

Result<Finished> run_program(const Command& command);
// The same, but an exit code other than 0 is a failure that quotes the output.
Result<std::string> run_checked(const Command& command);

// 128 + signal, or the exit code, from what wait(2) gives.
int exit_code_of(int wait_status);

}  // namespace berth::runtime

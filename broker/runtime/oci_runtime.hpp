// OciRuntime: the program that makes containers (runc, crun), by its command line.
// https://github.com/opencontainers/runtime-spec/blob/v1.0.2/runtime.md
// Thread-safe: it holds nothing that changes.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "broker/base/error.hpp"

namespace berth::runtime {

class OciRuntime {
 public:
  OciRuntime() = default;
  OciRuntime(std::string program, std::string state_directory)
      : program_(std::move(program)), state_directory_(std::move(state_directory)) {}

  const std::string& program() const { return program_; }
  // The first line of `--version`: "runc version 1.1.5" -> "runc 1.1.5".
  Result<std::string> version() const;

  // Makes the container from <bundle>/config.json; its first process waits for start(). The pid is in our own namespace.
  Result<pid_t> create(const std::string& id, const std::string& bundle, int standard_output, int standard_error) const;
  Result<> start(const std::string& id, const std::string& bundle) const;
  // "created", "running", "stopped".
  Result<std::string> status(const std::string& id) const;
  // Kills what still runs; accepts ids that it never saw.
  void remove(const std::string& id) const noexcept;
  // Runs a command inside; the exit code. One that takes longer is killed: Code::unavailable.
  Result<int> execute(const std::string& id, const std::vector<std::string>& command, std::chrono::milliseconds timeout,
                      const std::string& pid_file) const;

 private:
  std::vector<std::string> arguments(std::vector<std::string> rest, const std::string& bundle = {}) const;
  Error failure(const std::string& bundle, const Error& error) const;

  std::string program_, state_directory_;
};

}  // namespace berth::runtime

// KeeperProcess: a keeper with its daemon in processes of their own, for tests.
#pragma once

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "broker/keeper/keeper.hpp"

namespace berth::keeper {

// What run() fails with, as an exit code.
inline constexpr int kCantBegin = 99;

// A pipe whose ends every process has: readiness and news for the test, which reads with a plain blocking read.
class Pipe {
 public:
  Pipe() { EXPECT_EQ(::pipe(ends_.data()), 0); }
  ~Pipe() {
    ::close(ends_[0]);
    close_writer();
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  void write(char byte) const {
    if (::write(ends_[1], &byte, 1) != 1) ::_exit(98);
  }
  // '\0' where every writer is gone.
  char read() const {
    char byte = '\0';
    return ::read(ends_[0], &byte, 1) == 1 ? byte : '\0';
  }
  int writer() const { return ends_[1]; }
  void close_writer() {
    if (ends_[1] >= 0) ::close(ends_[1]);
    ends_[1] = -1;
  }

 private:
  std::array<int, 2> ends_{};
};

class KeeperProcess {
 public:
  explicit KeeperProcess(const DaemonMain& daemon_main, KeeperOptions options = {}) {
    std::string pattern = (std::filesystem::temp_directory_path() / "berth-keeper-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    if (options.lock_path.empty()) options.lock_path = folder_ + "/lock";
    pid_ = ::fork();
    if (pid_ == 0) {
      const auto code = run(options, daemon_main);
      ::_exit(code ? *code : kCantBegin);
    }
  }
  ~KeeperProcess() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      static_cast<void>(wait());
    }
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  KeeperProcess(const KeeperProcess&) = delete;
  KeeperProcess& operator=(const KeeperProcess&) = delete;

  pid_t pid() const { return pid_; }
  // The exit code; 128 + signal.
  int wait() {
    int status = 0;
    EXPECT_EQ(::waitpid(pid_, &status, 0), pid_);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  std::string folder_;
  pid_t pid_ = -1;
};

// Options for tests that need no rights, and in which a daemon may die often.
inline KeeperOptions patient() {
  KeeperOptions options;
  options.private_mounts = false;
  options.restarts = {.deaths_max = 1000, .window = std::chrono::hours{1}, .at_once = 1000};
  return options;
}

}  // namespace berth::keeper

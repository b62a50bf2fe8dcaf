#include "tests/kernel_runtime/orphans.hpp"

#include <dirent.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

namespace berth::runtime::testing {
namespace {

// proc_pid_status(5). In a PID namespace below ours, and not its first process.
bool is_orphan(const std::string& pid) {
  std::ifstream status("/proc/" + pid + "/status");
  bool zombie = false, ours = false, inside = false;
  for (std::string line; std::getline(status, line);) {
    std::istringstream words(line);
    std::string key, first, last;
    words >> key >> first;
    if (key == "State:") zombie = first == "Z";
    if (key == "PPid:") ours = first == std::to_string(::getpid());
    if (key != "NSpid:") continue;
    while (words >> last) inside = last != "1";
  }
  return zombie && ours && inside;
}

void reap() {
  DIR* processes = ::opendir("/proc");
  if (processes == nullptr) return;
  while (const dirent* entry = ::readdir(processes))
    if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && is_orphan(entry->d_name))
      ::waitpid(static_cast<pid_t>(std::strtol(entry->d_name, nullptr, 10)), nullptr, WNOHANG);
  ::closedir(processes);
}

}  // namespace

void Orphans::start() {
  sigset_t children;
  sigemptyset(&children);
  sigaddset(&children, SIGCHLD);
  ::pthread_sigmask(SIG_BLOCK, &children, nullptr);
  signals_.reset(::signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK));
  stop_.reset(::eventfd(0, EFD_CLOEXEC));
  thread_ = std::jthread([this] { run(); });
}

Orphans::~Orphans() {
  if (thread_.joinable()) ::eventfd_write(stop_.get(), 1);
}

void Orphans::run() const {
  std::array<pollfd, 2> polled{pollfd{signals_.get(), POLLIN, 0}, pollfd{stop_.get(), POLLIN, 0}};
  while (polled[1].revents == 0) {
    signalfd_siginfo ignored{};
    while (::read(signals_.get(), &ignored, sizeof ignored) > 0) {
    }
    reap();
    ::poll(polled.data(), polled.size(), -1);
  }
}

}  // namespace berth::runtime::testing

#include "broker/base/child_exits.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <iterator>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "broker/base/check.hpp"
#include "broker/base/unique_fd.hpp"

namespace berth {

namespace {

int open_pidfd(pid_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }

// waitid(2) splits what waitpid(2) packs.
int pack_wait_status(const siginfo_t& info) {
  if (info.si_code == CLD_EXITED) return (info.si_status & 0xff) << 8;
  return info.si_status | (info.si_code == CLD_DUMPED ? 0x80 : 0);
}

// Reaps; kUnknownWaitStatus for a process that isn't ours or was reaped already.
int wait_status_of(int pidfd) {
  siginfo_t info{};
  if (pidfd < 0 || ::waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED | WNOHANG) != 0) return kUnknownWaitStatus;
  return info.si_pid == 0 ? kUnknownWaitStatus : pack_wait_status(info);
}

}  // namespace

struct PidfdChildExits::State {
  struct Watch {
    UniqueFd pidfd;  // none: the process was gone when the watch began
    Callback callback;
  };

  void run();
  std::vector<pollfd> descriptors();
  std::vector<Watch> take_ended();
  void wake() const {
    const std::uint64_t one = 1;
    BERTH_CHECK(::write(wake_up.get(), &one, sizeof one) == sizeof one);
  }

  std::mutex mutex;
  std::map<pid_t, Watch> watches;
  bool stopping = false;
  UniqueFd wake_up{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  std::thread thread;
};

std::vector<pollfd> PidfdChildExits::State::descriptors() {
  std::vector<pollfd> polled{{wake_up.get(), POLLIN, 0}};
  for (const auto& [pid, watch] : watches) {
    if (watch.pidfd) polled.push_back({watch.pidfd.get(), POLLIN, 0});
  }
  return polled;
}

std::vector<PidfdChildExits::State::Watch> PidfdChildExits::State::take_ended() {
  std::vector<Watch> ended;
  for (auto entry = watches.begin(); entry != watches.end();) {
    pollfd one{entry->second.pidfd.get(), POLLIN, 0};
    const bool over = !entry->second.pidfd || ::poll(&one, 1, 0) > 0;
    if (over) ended.push_back(std::move(entry->second));
    entry = over ? watches.erase(entry) : std::next(entry);
  }
  return ended;
}

void PidfdChildExits::State::run() {
  std::unique_lock lock(mutex);
  while (!stopping) {
    for (Watch& watch : take_ended()) {
      lock.unlock();
      watch.callback(wait_status_of(watch.pidfd.get()), SystemClock{}.now());
      lock.lock();
    }
    if (stopping) break;
    std::vector<pollfd> polled = descriptors();
    lock.unlock();
    ::poll(polled.data(), polled.size(), -1);
    std::uint64_t ignored = 0;
    [[maybe_unused]] const ssize_t drained = ::read(wake_up.get(), &ignored, sizeof ignored);
    lock.lock();
  }
}

PidfdChildExits::PidfdChildExits() : state_(std::make_unique<State>()) { BERTH_CHECK(static_cast<bool>(state_->wake_up)); }

PidfdChildExits::~PidfdChildExits() {
  {
    const std::scoped_lock lock(state_->mutex);
    state_->stopping = true;
  }
  state_->wake();
  if (state_->thread.joinable()) state_->thread.join();
}

void PidfdChildExits::watch(pid_t pid, Callback callback) {
  {
    const std::scoped_lock lock(state_->mutex);
    state_->watches.insert_or_assign(pid, State::Watch{UniqueFd{open_pidfd(pid)}, std::move(callback)});
  }
  state_->wake();
}

void PidfdChildExits::start() {
  BERTH_CHECK(!state_->thread.joinable());
  state_->thread = std::thread([this] { state_->run(); });
}

}  // namespace berth

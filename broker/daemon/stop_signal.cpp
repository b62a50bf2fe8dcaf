#include "broker/daemon/stop_signal.hpp"

#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>

#include "broker/base/check.hpp"

namespace berth::daemon {

namespace {

std::atomic<int> event_of_process{-1};

void on_signal(int) {
  const int saved = errno;
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(event_of_process, &one, sizeof one);
  errno = saved;
}

void handle_stop_signals(void (*handler)(int)) {
  struct sigaction action{};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) ::sigaction(number, &action, nullptr);
}

}  // namespace

StopSignal::StopSignal() : event_(::eventfd(0, EFD_CLOEXEC)) {
  BERTH_CHECK(static_cast<bool>(event_));
  event_of_process = event_.get();
  handle_stop_signals(on_signal);
}

StopSignal::~StopSignal() {
  handle_stop_signals(SIG_DFL);
  event_of_process = -1;
}

void StopSignal::wait() {
  std::uint64_t count = 0;
  while (::read(event_.get(), &count, sizeof count) < 0 && errno == EINTR) {
  }
}

void StopSignal::raise() { on_signal(0); }

}  // namespace berth::daemon

// ChildExits: tells when a process has ended, also one that ended before it was asked for.
//
// Containers outlive the daemon, so the keeper is their reaper: broker/keeper reports their exits to whichever daemon runs,
// those from before it started among them. `PidfdChildExits` is for tests and for running without a keeper. Thread-safe.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>

#include "broker/base/clock.hpp"

namespace berth {

// The wait status that is reported when a process is gone and nobody knows how it ended: exit code 255.
inline constexpr int kUnknownWaitStatus = 255 << 8;

class ChildExits {
 public:
  // `wait_status` is waitpid(2)'s: read it with WIFEXITED, WEXITSTATUS, WTERMSIG.
  using Callback = std::function<void(int wait_status, TimePoint at)>;

  virtual ~ChildExits() = default;  // no callback runs any more when it returns

  // Calls `callback` once, on the reporting thread, when `pid` has ended; soon, when it already has. A second watch of a pid
  // takes the place of the first. Callbacks may call watch(); they should be short.
  virtual void watch(pid_t pid, Callback callback) = 0;
  // Starts the reporting thread. Watches from before it count.
  virtual void start() = 0;
};

// Over pidfds: knows how this process's own children ended (and reaps them), of others only that they did.
class PidfdChildExits final : public ChildExits {
 public:
  PidfdChildExits();
  ~PidfdChildExits() override;
  void watch(pid_t pid, Callback callback) override;
  void start() override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace berth

// Child: another process that does one thing and says how it went.
#pragma once

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>

namespace berth::posix {

class Child {
 public:
  // Ends by itself after 20 seconds: a call that never returns is a failure, not a hang.
  explicit Child(const std::function<int()>& body) : pid_(fork()) {
    if (pid_ != 0) return;
    std::signal(SIGALRM, SIG_DFL);
    alarm(20);
    _exit(body());
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

  pid_t pid() const { return pid_; }
  // What the body gave, 0 to 255; -1 where a signal ended it.
  int result() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  // Returns once the child waits inside this system call, or has ended.
  void until_it_waits_in(long system_call) const;

 private:
  pid_t pid_;
};

}  // namespace berth::posix

#include "broker/base/outliving_threads.hpp"

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>
#include <thread>

#include <gtest/gtest.h>

#include "broker/base/thread_sanitizer.hpp"
#include "broker/base/unique_fd.hpp"

namespace berth {
namespace {

// A child whose first thread ends and whose second one stays, under the name or not.
class Child {
 public:
  explicit Child(bool named) {
    std::array<int, 2> ends{};
    EXPECT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
    UniqueFd ready(ends[0]);
    UniqueFd said(ends[1]);
    pid_ = fork();
    if (pid_ == 0) {
      std::thread([named, to = said.get()] {
        if (named) may_outlive_its_process();
        if (write(to, "x", 1) != 1) _exit(1);
        while (true) pause();
      }).detach();
      syscall(SYS_exit, 0);  // this thread alone
    }
    said.reset();
    char byte = 0;
    EXPECT_EQ(read(ready.get(), &byte, 1), 1);
  }
  ~Child() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
};

bool soon(const std::function<bool()>& holds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!holds() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  return holds();
}

TEST(OutlivingThreads, AProcessWithNoOtherThreadLeftIsAsGoodAsDead) {
  if (kThreadSanitizer) GTEST_SKIP() << "ThreadSanitizer has a thread of its own in every process";
  const Child child(true);
  EXPECT_TRUE(soon([&] { return only_outliving_threads_left(child.pid()); }));
}

TEST(OutlivingThreads, AnyOtherThreadIsWaitedFor) {
  const Child child(false);
  // Its first thread is dead when its state says so; then the other one counts.
  EXPECT_TRUE(soon([&] { return kill(child.pid(), 0) == 0; }));
  EXPECT_FALSE(only_outliving_threads_left(child.pid()));
}

TEST(OutlivingThreads, ALivingProcessIsNotDead) { EXPECT_FALSE(only_outliving_threads_left(getpid())); }

TEST(OutlivingThreads, OfADeadProcessNothingIsLeft) {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  waitpid(child, nullptr, 0);
  EXPECT_FALSE(only_outliving_threads_left(child));
}

}  // namespace
}  // namespace berth

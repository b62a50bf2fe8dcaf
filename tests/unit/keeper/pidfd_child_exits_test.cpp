#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <future>

#include "broker/base/child_exits.hpp"

namespace berth {
namespace {

pid_t start_child(int code) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (code < 0)
      for (;;) ::pause();
    ::_exit(code);
  }
  return child;
}

TEST(PidfdChildExits, ReportsHowAChildEndedOnce) {
  PidfdChildExits exits;
  std::promise<int> early, late;
  exits.watch(start_child(3), [&](int status, TimePoint) { early.set_value(status); });
  exits.start();
  const pid_t child = start_child(-1);
  exits.watch(child, [&](int status, TimePoint) { late.set_value(status); });
  EXPECT_EQ(early.get_future().get(), 3 << 8);
  ::kill(child, SIGTERM);
  EXPECT_EQ(late.get_future().get(), SIGTERM);
  EXPECT_EQ(::waitpid(child, nullptr, WNOHANG), -1) << "it has been reaped";
}

TEST(PidfdChildExits, AProcessThatIsGoneEndsAsUnknown) {
  PidfdChildExits exits;
  exits.start();
  const pid_t child = start_child(0);
  ::waitpid(child, nullptr, 0);
  std::promise<int> gone;
  exits.watch(child, [&](int status, TimePoint) { gone.set_value(status); });
  EXPECT_EQ(gone.get_future().get(), kUnknownWaitStatus);
}

TEST(PidfdChildExits, ACallbackMayWatchAnother) {
  PidfdChildExits exits;
  exits.start();
  std::promise<int> second;
  exits.watch(start_child(1),
              [&](int, TimePoint) { exits.watch(start_child(2), [&](int status, TimePoint) { second.set_value(status); }); });
  EXPECT_EQ(second.get_future().get(), 2 << 8);
}

}  // namespace
}  // namespace berth

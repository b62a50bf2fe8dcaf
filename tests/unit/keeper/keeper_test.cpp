#include "broker/keeper/keeper.hpp"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include <gmock/gmock.h>

#include "broker/base/outliving_threads.hpp"
#include "broker/base/thread_sanitizer.hpp"
#include "broker/keeper/descriptors.hpp"
#include "broker/keeper/state_lock.hpp"
#include "tests/unit/keeper/keeper_process.hpp"

namespace berth::keeper {
namespace {

[[noreturn]] void die(int signal = SIGKILL) {
  ::kill(::getpid(), signal);
  for (;;) ::pause();
}

// The keeper opens something for a moment while the daemon starts, perhaps with the number of what was closed.
bool is_eventfd(int fd) {
  std::array<char, 64> kind{};
  const ssize_t size = ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), kind.data(), kind.size());
  return size > 0 && std::string_view(kind.data(), static_cast<std::size_t>(size)).find("eventfd") != std::string_view::npos;
}

// A fixed struct in a surviving region.
template <class T>
T& surviving(Survival& survival, const char* name) {
  return *reinterpret_cast<T*>(survival.region(name, sizeof(T)).value().data());
}

// Waits for one exit to be reported.
class Exit {
 public:
  ChildExits::Callback callback() {
    return [this](int wait_status, TimePoint) {
      const std::scoped_lock lock(mutex_);
      wait_status_ = wait_status;
      reported_.notify_all();
    };
  }
  int wait() {
    std::unique_lock lock(mutex_);
    reported_.wait(lock, [&] { return wait_status_ >= 0; });
    return wait_status_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable reported_;
  int wait_status_ = -1;
};

// A process whose parent has gone, as an OCI runtime leaves containers. It exits with `code` once `go` can be read.
pid_t make_orphan(const Pipe& go, int code) {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) ::_exit(97);
  const pid_t parent = ::fork();
  if (parent == 0) {
    const pid_t orphan = ::fork();
    if (orphan == 0) {
      go.read();
      ::_exit(code);
    }
    ::_exit(::write(ends[1], &orphan, sizeof orphan) == sizeof orphan ? 0 : 1);
  }
  pid_t orphan = -1;
  if (::read(ends[0], &orphan, sizeof orphan) != sizeof orphan || ::waitpid(parent, nullptr, 0) != parent) ::_exit(96);
  ::close(ends[0]);
  ::close(ends[1]);
  return orphan;
}

TEST(Keeper, ReturnsTheExitCodeOfTheDaemon) {
  KeeperProcess keeper{[](Survival& survival, ChildExits&) { return survival.restarts() == 0 ? 7 : 1; }, patient()};
  EXPECT_EQ(keeper.wait(), 7);
}

TEST(Keeper, TwentyKillsKeepWhatIsKeptAndCloseTheRest) {
  struct Memory {
    unsigned lives;
    int kept, forgotten, other;
  };
  KeeperProcess keeper{[](Survival& survival, ChildExits&) {
                         auto& memory = surviving<Memory>(survival, "memory");
                         if (memory.lives++ != survival.restarts()) return 1;
                         if (survival.restarts() == 0) {
                           memory.kept = ::eventfd(5, EFD_NONBLOCK);
                           survival.keep(memory.kept);
                         } else if (is_eventfd(memory.forgotten) || is_eventfd(memory.other) || !is_eventfd(memory.kept)) {
                           return 2;
                         }
                         if (survival.restarts() == 20) {
                           std::uint64_t value = 0;
                           return ::read(memory.kept, &value, sizeof value) == sizeof value && value == 5 ? 42 : 3;
                         }
                         memory.other = ::eventfd(0, 0);
                         memory.forgotten = ::eventfd(0, 0);
                         survival.keep(memory.forgotten);
                         survival.forget(memory.forgotten);
                         die();
                       },
                       patient()};
  EXPECT_EQ(keeper.wait(), 42);
}

TEST(Keeper, WhatWasOpenBeforeItStaysOpen) {
  const Pipe before;
  KeeperProcess keeper{[&](Survival& survival, ChildExits&) -> int {
                         if (survival.restarts() == 0) die();
                         before.write('x');
                         return 42;
                       },
                       patient()};
  EXPECT_EQ(before.read(), 'x');
  EXPECT_EQ(keeper.wait(), 42);
}

TEST(Keeper, ANumberThatADaemonTookOverFromWhatWasOpenBeforeIsClosed) {
  Pipe before;
  KeeperProcess keeper{[&](Survival& survival, ChildExits&) -> int {
                         auto& number = surviving<int>(survival, "number");
                         if (survival.restarts() > 0) return is_eventfd(number) ? 1 : 42;
                         const int other = ::eventfd(0, 0);
                         number = before.writer();
                         if (::dup2(other, number) != number) return 2;
                         die();
                       },
                       patient()};
  EXPECT_EQ(keeper.wait(), 42);
}

TEST(Keeper, AKilledDaemonsPeersSeeTheirConnectionsEnd) {
  const Pipe ready;
  std::array<int, 2> names{};
  ASSERT_EQ(::pipe(names.data()), 0);
  KeeperProcess keeper{[&](Survival& survival, ChildExits&) -> int {
                         if (survival.restarts() > 0) {
                           ready.read();
                           return 42;
                         }
                         std::array<int, 2> connection{};
                         if (::pipe(connection.data()) != 0) return 1;
                         // The reader is a process of its own, as a client is; it holds no writing end.
                         if (::fork() == 0) {
                           ::close(connection[1]);
                           char byte = 0;
                           const char seen = ::read(connection[0], &byte, 1) == 0 ? 'e' : '?';
                           ::_exit(::write(names[1], &seen, 1) == 1 ? 0 : 1);
                         }
                         die();
                       },
                       patient()};
  char seen = 0;
  ASSERT_EQ(::read(names[0], &seen, 1), 1);
  EXPECT_EQ(seen, 'e');
  ready.write('x');
  EXPECT_EQ(keeper.wait(), 42);
  ::close(names[0]);
  ::close(names[1]);
}

// A thread makes and removes regions while the daemon is killed: at each start the table names only whole regions, and no
// descriptor has been left behind.
TEST(Keeper, ADaemonKilledAmidItsTablesLeavesThemUsable) {
  KeeperProcess keeper{[](Survival& survival, ChildExits&) -> int {
                         for (const std::string& name : survival.regions()) {
                           const auto size = static_cast<std::size_t>(std::stoul(name));
                           const auto memory = survival.region(name, size);
                           if (!memory || survival.region(name, size + 1)) return 1;
                           survival.remove_region(name);
                         }
                         if (!survival.regions().empty()) return 2;
                         const std::size_t open = open_descriptors().size();
                         // The bound is generous for what the test runner itself has open: 200 lives would leak hundreds.
                         if (open > 40) return 3;
                         if (survival.restarts() == 200) return 42;
                         std::atomic<unsigned> rounds = 0;
                         std::thread busy{[&] {
                           for (unsigned i = 1;; ++i) {
                             const std::string name = std::to_string(1 + i % 7);
                             if (!survival.region(name, 1 + i % 7)) ::_exit(4);
                             if (i % 3 == 0) survival.remove_region(name);
                             ++rounds;
                           }
                         }};
                         while (rounds < survival.restarts() % 23) std::this_thread::yield();
                         die();
                       },
                       patient()};
  EXPECT_EQ(keeper.wait(), 42);
}

TEST(Keeper, AnExitWhileTheDaemonIsDeadIsReportedToTheNext) {
  Pipe go;
  KeeperProcess keeper{[&](Survival& survival, ChildExits& exits) -> int {
                         auto& orphan = surviving<pid_t>(survival, "orphan");
                         if (survival.restarts() == 0) {
                           orphan = make_orphan(go, 7);
                           go.write('x');
                           die();
                         }
                         Exit exit;
                         exits.start();
                         exits.watch(orphan, exit.callback());
                         return exit.wait() == 7 << 8 ? 42 : 1;
                       },
                       patient()};
  EXPECT_EQ(keeper.wait(), 42);
}

TEST(Keeper, AnExitThatADeadDaemonHadHeardOfIsReportedAgain) {
  Pipe go;
  KeeperProcess keeper{[&](Survival& survival, ChildExits& exits) -> int {
                         auto& orphan = surviving<pid_t>(survival, "orphan");
                         if (survival.restarts() == 0) orphan = make_orphan(go, 7);
                         Exit exit;
                         exits.watch(orphan, exit.callback());
                         exits.start();
                         if (survival.restarts() == 0) go.write('x');
                         if (exit.wait() != 7 << 8) return 1;
                         if (survival.restarts() == 0) die();
                         return 42;
                       },
                       patient()};
  EXPECT_EQ(keeper.wait(), 42);
}

TEST(Keeper, ASignalThatEndedAnOrphanIsReported) {
  const Pipe never;
  KeeperProcess keeper{[&](Survival&, ChildExits& exits) -> int {
                         const pid_t orphan = make_orphan(never, 0);
                         Exit exit;
                         exits.start();
                         exits.watch(orphan, exit.callback());
                         ::kill(orphan, SIGKILL);
                         const int status = exit.wait();
                         return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? 42 : 1;
                       },
                       patient()};
  EXPECT_EQ(keeper.wait(), 42);
}

TEST(Keeper, AProcessThatIsGoneWithoutARecordEndsAsUnknown) {
  KeeperProcess keeper{[&](Survival&, ChildExits& exits) -> int {
                         const pid_t child = ::fork();
                         if (child == 0) ::_exit(0);
                         ::waitpid(child, nullptr, 0);
                         Exit exit;
                         exits.start();
                         exits.watch(child, exit.callback());
                         return exit.wait() == kUnknownWaitStatus ? 42 : 1;
                       },
                       patient()};
  EXPECT_EQ(keeper.wait(), 42);
}

// Says that it is ready, waits for SIGTERM, says so, returns 42.
DaemonMain until_terminated(const Pipe& news) {
  return [&news](Survival&, ChildExits&) {
    sigset_t signals;
    ::sigemptyset(&signals);
    ::sigaddset(&signals, SIGTERM);
    ::sigprocmask(SIG_BLOCK, &signals, nullptr);
    news.write('r');
    if (::sigwaitinfo(&signals, nullptr) != SIGTERM) return 1;
    news.write('t');
    return 42;
  };
}

bool is_dead(pid_t process) {
  std::ifstream about("/proc/" + std::to_string(process) + "/stat");
  std::string line;
  std::getline(about, line);
  return line.find(") Z ") != std::string::npos;
}

// One that waits in the kernel for the next daemon, and so can't be waited for.
TEST(Keeper, ADaemonThatLeavesAThreadBehindIsSucceeded) {
  if (kThreadSanitizer) GTEST_SKIP() << "ThreadSanitizer has a thread of its own, which stays";
  KeeperProcess keeper{[](Survival& survival, ChildExits&) {
                         auto& first = surviving<std::atomic<pid_t>>(survival, "first");
                         if (survival.restarts() == 1) return ::kill(first, SIGKILL) == 0 ? 42 : 1;
                         first = ::getpid();
                         static std::atomic<bool> named = false;
                         std::thread([] {
                           may_outlive_its_process();
                           named = true;
                           for (;;) ::pause();
                         }).detach();
                         while (!named) std::this_thread::yield();
                         std::thread([process = ::getpid()] {
                           while (!is_dead(process)) std::this_thread::yield();
                         }).detach();
                         ::syscall(SYS_exit, 0);  // this thread alone
                         return 1;
                       },
                       patient()};
  EXPECT_EQ(keeper.wait(), 42);
}

TEST(Keeper, PassesSigtermOn) {
  const Pipe news;
  KeeperProcess keeper{until_terminated(news), patient()};
  ASSERT_EQ(news.read(), 'r');
  ::kill(keeper.pid(), SIGTERM);
  EXPECT_EQ(keeper.wait(), 42);
}

TEST(Keeper, WhenItIsKilledTheDaemonIsTerminated) {
  Pipe news;
  KeeperProcess keeper{until_terminated(news), patient()};
  ASSERT_EQ(news.read(), 'r');
  ::kill(keeper.pid(), SIGKILL);
  EXPECT_EQ(keeper.wait(), 128 + SIGKILL);
  news.close_writer();
  EXPECT_EQ(news.read(), 't');
}

TEST(Keeper, ASignalThatKillsTheDaemonEndsTheKeeper) {
  const Pipe news;
  KeeperProcess keeper{[&](Survival& survival, ChildExits&) -> int {
                         if (survival.restarts() > 0) return 1;
                         news.write('r');
                         for (;;) ::pause();
                       },
                       patient()};
  ASSERT_EQ(news.read(), 'r');
  ::kill(keeper.pid(), SIGINT);
  EXPECT_EQ(keeper.wait(), 128 + SIGINT);
}

TEST(Keeper, GivesUpOnADaemonThatKeepsDying) {
  KeeperOptions options = patient();
  options.restarts = {.deaths_max = 4, .at_once = 4};
  Pipe lives;
  KeeperProcess keeper{[&](Survival&, ChildExits&) -> int {
                         lives.write('x');
                         die(SIGALRM);
                       },
                       options};
  EXPECT_EQ(keeper.wait(), 128 + SIGALRM);
  lives.close_writer();
  int count = 0;
  while (lives.read() == 'x') ++count;
  EXPECT_EQ(count, 4);
}

TEST(Keeper, NeverGivesUpOnADaemonThatIsKilled) {
  KeeperOptions options = patient();
  options.restarts = {.deaths_max = 4, .at_once = 4, .delay = std::chrono::milliseconds{1}};
  KeeperProcess keeper{[](Survival& survival, ChildExits&) -> int {
                         if (survival.restarts() == 20) return 42;
                         die();
                       },
                       options};
  EXPECT_EQ(keeper.wait(), 42);
}

TEST(Keeper, ATakenStateDirectoryIsRefusedWithThePidOfItsHolder) {
  const Pipe news;
  std::string pattern = (std::filesystem::temp_directory_path() / "berth-lock-XXXXXX").string();
  const std::filesystem::path folder = ::mkdtemp(pattern.data());
  KeeperOptions options = patient();
  options.lock_path = folder / "lock";
  KeeperProcess first{until_terminated(news), options};
  ASSERT_EQ(news.read(), 'r');
  const auto refused = run(options, [](Survival&, ChildExits&) { return 0; });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::failed_precondition);
  EXPECT_THAT(refused.error().message, testing::HasSubstr("pid " + std::to_string(first.pid())));

  ::kill(first.pid(), SIGTERM);
  EXPECT_EQ(first.wait(), 42);
  EXPECT_TRUE(take_state_lock(options.lock_path)) << "free again when its holder has gone";
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace berth::keeper

// The daemon is killed while programs work on its mounts: they see a pause, not an error.
#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/kernel_share/kept_share.hpp"
#include "tests/kernel_share/served_share.hpp"
#include "tests/kernel_share/workload.hpp"
#include "tests/support/requirements.hpp"

namespace berth::fuse::test {
namespace {

constexpr Rights kAll{.write = true, .root_access = true};
constexpr std::uint32_t kGetattr = 3;
constexpr std::uint32_t kMkdir = 9;

class Crash : public testing::TestWithParam<Way> {
 protected:
  void SetUp() override {
    BERTH_NEEDS(why_no_mounts().empty(), why_no_mounts());
    ASSERT_EQ(::mkdir((temporary_ / "backing").c_str(), 0777), 0);
    std::vector<Place> places;
    for (const auto& [name, path] : {std::pair("crash/data", at_), std::pair("crash/other", other_)}) {
      places.push_back(
          {.spec = {.id = MountId(name), .backing_directory = temporary_ / "backing", .rights = kAll}, .path = path});
    }
    keeper_ = std::make_unique<KeptShare>(places, GetParam().options());
    ASSERT_EQ(keeper_->first(), "mounted");
  }

  TemporaryDirectory temporary_;
  std::string at_ = temporary_ / "mnt";
  std::string other_ = temporary_ / "other";
  std::unique_ptr<KeptShare> keeper_;
};

INSTANTIATE_TEST_SUITE_P(Share, Crash, testing::ValuesIn(kWays), name_of_way);

// BERTH_STRESS_KILLS=100 for the long form. The longest pause is printed, not held: it is a matter of the machine's load.
TEST_P(Crash, AVerifiedWorkloadOnTwoMountsSeesNoErrorThroughManyKills) {
  const char* wanted = std::getenv("BERTH_STRESS_KILLS");
  const int kills = wanted == nullptr ? 5 : std::atoi(wanted);
  Workload workload({at_, other_}, 4);
  for (int killed = 0; killed < kills; ++killed) {
    ASSERT_TRUE(workload.wait_for_rounds(15)) << workload.stop() << " after " << killed << " kills";
    ASSERT_EQ(keeper_->kill_daemon(), "recovered 2");
  }
  ASSERT_TRUE(workload.wait_for_rounds(25)) << workload.stop();
  EXPECT_EQ(workload.stop(), "");
  std::printf("%d kills, %llu calls, longest pause %lld ms\n", kills, static_cast<unsigned long long>(workload.calls()),
              static_cast<long long>(workload.longest_pause().count()));
}

// The kernel answers a request itself, with EIO, where it can't copy it because the thread that reads it was killed. Only the
// first requests that a daemon reads could meet that, so it dies as soon as one was answered.
TEST_P(Crash, AWriteIsWholeWhereTheDaemonIsKilledWhileItReadsIt) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd written(ends[0]);
  UniqueFd writes(ends[1]);
  std::array<pid_t, 2> writers{};
  for (std::size_t i = 0; i < writers.size(); ++i) {
    writers[i] = fork();
    if (writers[i] != 0) continue;
    const std::string bytes(std::size_t{1} << 20U, 'x');
    const UniqueFd file(open((at_ + "/file" + std::to_string(i)).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    char error = 0;
    while (error == 0) {
      const ssize_t size = pwrite(file.get(), bytes.data(), bytes.size(), 0);
      if (size < 0) error = static_cast<char>(errno);
      if (size >= 0 && std::cmp_less(size, bytes.size())) error = static_cast<char>(EIO);
      if (write(writes.get(), &error, 1) != 1) break;
    }
    _exit(0);
  }
  writes.reset();
  std::string errors;
  for (int killed = 0; killed < 30 && errors.empty(); ++killed) {
    char error = 0;
    for (int i = 0; i < 3; ++i) {  // of two writers: one of them began its write after the last kill
      ASSERT_EQ(read(written.get(), &error, 1), 1);
      if (error != 0) errors = strerror(error) + (" after " + std::to_string(killed)) + " kills";
    }
    ASSERT_EQ(keeper_->kill_daemon(), "recovered 2");
  }
  EXPECT_EQ(errors, "");
  for (const pid_t writer : writers) {
    kill(writer, SIGKILL);
    waitpid(writer, nullptr, 0);
  }
}

// Of attributes that it asked for before it was told that they have changed, a kernel takes no size; copy_file_range(2) and
// mappings go by the size that it has. The next daemon may tell it only of what was under way.
TEST_P(Crash, WhoeverAsksForTheSizeWhileTheDaemonDiesCanCopyToTheEnd) {
  constexpr off_t kSize = 8192;
  for (const auto& [here, there] : {std::pair(at_, other_), std::pair(other_, at_)}) {
    const std::string name = here == at_ ? "/one" : "/two";
    const UniqueFd file(open((here + name).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    const UniqueFd other(open((there + name).c_str(), O_RDWR | O_CLOEXEC));
    struct stat attributes{};
    ASSERT_EQ(fstat(other.get(), &attributes), 0);
    for (int i = 0; i < 32; ++i) ASSERT_EQ(ftruncate(file.get(), kSize), 0);  // whichever worker notes something has noted this
    keeper_->set_trap(KeptShare::Trap::stop, Moment::received, kGetattr);
    const pid_t copier = fork();
    if (copier == 0) {
      loff_t from = 0;
      loff_t to = kSize;
      if (fstat(other.get(), &attributes) != 0 || attributes.st_size != kSize) _exit(1);
      _exit(copy_file_range(other.get(), &from, other.get(), &to, kSize, 0) == kSize ? 0 : 2);
    }
    ASSERT_EQ(keeper_->hear(), "stopped");
    ASSERT_EQ(keeper_->kill_daemon(), "recovered 2");
    int status = -1;
    ASSERT_EQ(waitpid(copier, &status, 0), copier);
    EXPECT_EQ(WEXITSTATUS(status), 0) << there;
  }
}

TEST_P(Crash, LocksAndUnlinkedFilesAreStillThere) {
  const std::string path = at_ + "/locked";
  const UniqueFd file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  ASSERT_TRUE(file);
  struct flock whole{};
  whole.l_type = F_WRLCK;
  ASSERT_EQ(fcntl(file.get(), F_SETLK, &whole), 0);
  const UniqueFd other(open((at_ + "/flocked").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  ASSERT_EQ(flock(other.get(), LOCK_EX), 0);
  const UniqueFd nameless(open((at_ + "/nameless").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  ASSERT_EQ(write(nameless.get(), "kept", 4), 4);
  ASSERT_EQ(unlink((at_ + "/nameless").c_str()), 0);

  ASSERT_EQ(keeper_->kill_daemon(), "recovered 2");

  std::array<char, 4> text{};
  EXPECT_EQ(pread(nameless.get(), text.data(), text.size(), 0), 4);
  EXPECT_EQ(std::string(text.data(), text.size()), "kept");
  const auto try_locks = [&] {
    const UniqueFd again(open(path.c_str(), O_RDWR | O_CLOEXEC));
    const UniqueFd other_again(open((at_ + "/flocked").c_str(), O_RDWR | O_CLOEXEC));
    struct flock wanted{};
    wanted.l_type = F_WRLCK;
    const bool refused = fcntl(again.get(), F_SETLK, &wanted) != 0 && errno == EAGAIN;
    const bool flock_refused = flock(other_again.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    return (refused ? 1 : 0) + (flock_refused ? 2 : 0);
  };
  EXPECT_EQ(in_child({}, try_locks), 3);
  const pid_t holder = getpid();
  EXPECT_EQ(in_child({},
                     [&] {
                       const UniqueFd again(open(path.c_str(), O_RDWR | O_CLOEXEC));
                       struct flock wanted{};
                       wanted.l_type = F_RDLCK;
                       return fcntl(again.get(), F_GETLK, &wanted) == 0 && wanted.l_pid == holder ? 0 : 1;
                     }),
            0);
  whole.l_type = F_UNLCK;
  ASSERT_EQ(fcntl(file.get(), F_SETLK, &whole), 0);
  ASSERT_EQ(flock(other.get(), LOCK_UN), 0);
  EXPECT_EQ(in_child({}, try_locks), 0);
}

// At every step: what is open, locked, unlinked and waited for stays, and what was under way is done, once.
TEST_P(Crash, ADaemonThatIsKilledWhileItTakesOverLosesNothing) {
  const UniqueFd locked(open((at_ + "/locked").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  const UniqueFd nameless(open((at_ + "/nameless").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  ASSERT_EQ(flock(locked.get(), LOCK_EX), 0);
  ASSERT_EQ(unlink((at_ + "/nameless").c_str()), 0);
  int step = 0;
  while (true) {
    ++step;
    const std::string name = at_ + "/made" + std::to_string(step);
    keeper_->set_trap(KeptShare::Trap::stop, Moment::executed, kMkdir);
    const pid_t maker = fork();
    if (maker == 0) _exit(mkdir(name.c_str(), 0755) == 0 ? 0 : errno);
    ASSERT_EQ(keeper_->hear(), "stopped");
    const bool died = keeper_->kill_two(step);
    int status = -1;
    ASSERT_EQ(waitpid(maker, &status, 0), maker);
    ASSERT_EQ(WEXITSTATUS(status), 0) << "step " << step;
    const std::string text = std::to_string(step);
    ASSERT_EQ(pwrite(nameless.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size())) << "step " << step;
    const UniqueFd other(open((other_ + "/locked").c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_TRUE(flock(other.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) << "step " << step;
    ASSERT_EQ(rmdir((other_ + "/made" + text).c_str()), 0) << "step " << step;
    if (!died) break;
  }
  std::printf("%d steps\n", step - 1);
  EXPECT_GT(step, 10);
}

TEST_P(Crash, AWaiterForALockGetsItFromTheNextDaemon) {
  const std::string path = at_ + "/l";
  const UniqueFd held(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  ASSERT_EQ(flock(held.get(), LOCK_EX), 0);
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe(ends.data()), 0);
  const pid_t waiter = fork();
  if (waiter == 0) {
    const int fd = open(path.c_str(), O_RDWR);
    if (write(ends[1], "w", 1) != 1) _exit(2);
    _exit(flock(fd, LOCK_EX) == 0 ? 0 : 1);
  }
  char ready = 0;
  ASSERT_EQ(read(ends[0], &ready, 1), 1);
  ASSERT_EQ(keeper_->kill_daemon(), "recovered 2");
  ASSERT_EQ(flock(held.get(), LOCK_UN), 0);
  int status = -1;
  ASSERT_EQ(waitpid(waiter, &status, 0), waiter);
  EXPECT_EQ(status, 0);
}

// By a signal of which the daemon that died had just heard.
TEST_P(Crash, AWaiterForALockThatIsInterruptedWhileTheDaemonDiesIsInterrupted) {
  constexpr std::uint32_t kInterrupt = 36;
  const UniqueFd held(open((at_ + "/l").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  struct flock whole{};
  whole.l_type = F_WRLCK;
  ASSERT_EQ(fcntl(held.get(), F_SETLK, &whole), 0);
  const pid_t waiter = fork();
  if (waiter == 0) {
    struct sigaction interrupts{};
    interrupts.sa_handler = [](int) {};
    sigaction(SIGUSR1, &interrupts, nullptr);
    const int fd = open((at_ + "/l").c_str(), O_RDWR);
    _exit(fcntl(fd, F_SETLKW, &whole) == 0 ? 0 : errno);
  }
  while (keeper_->locks_waited_for() == 0) {
  }
  keeper_->set_trap(KeptShare::Trap::die, Moment::received, kInterrupt);
  ASSERT_EQ(kill(waiter, SIGUSR1), 0);
  EXPECT_EQ(keeper_->hear(), "recovered 2");
  int status = -1;
  ASSERT_EQ(waitpid(waiter, &status, 0), waiter);
  EXPECT_EQ(WEXITSTATUS(status), EINTR);
}

// Dropping a name waits in the kernel for whatever has locked its directory, and can't be killed there. What has locked it here
// is a request that only the next daemon answers.
class BusyDirectory : public Crash {
 protected:
  void drop_a_name_and(const std::function<std::string()>& die);
};

INSTANTIATE_TEST_SUITE_P(Share, BusyDirectory, testing::ValuesIn(kWays), name_of_way);

void BusyDirectory::drop_a_name_and(const std::function<std::string()>& die) {
  constexpr std::uint32_t kCreate = 35;  // FUSE_CREATE
  ASSERT_EQ(shell("mkdir " + at_ + "/busy && touch " + at_ + "/busy/known && stat " + at_ + "/busy/known"), 0);
  keeper_->set_trap(KeptShare::Trap::stop, Moment::received, kCreate);
  const pid_t maker = fork();
  if (maker == 0) _exit(open((at_ + "/busy/new").c_str(), O_WRONLY | O_CREAT | O_EXCL, 0644) >= 0 ? 0 : 1);
  ASSERT_EQ(keeper_->hear(), "stopped");
  ASSERT_EQ(unlink((other_ + "/busy/known").c_str()), 0);
  ASSERT_EQ(die(), "recovered 2");
  int status = -1;
  ASSERT_EQ(waitpid(maker, &status, 0), maker);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(shell("test -e " + other_ + "/busy/new && test ! -e " + at_ + "/busy/known"), 0);
}

TEST_P(BusyDirectory, ADaemonThatIsKilledWhileItDropsANameFromItIsSucceeded) {
  drop_a_name_and([&] { return keeper_->kill_daemon(); });
}

// The kernel waits for all of a process's threads before it dumps its core.
TEST_P(BusyDirectory, ADaemonThatCrashesWhileItDropsANameFromItIsSucceeded) {
  drop_a_name_and([&] { return keeper_->crash_daemon(); });
}

// The kernel ends the connection some time after the unmount: by the daemon of then or by one of the next it is forgotten.
TEST_P(Crash, AMountThatWasUnmountedIsNotRecovered) {
  ASSERT_EQ(umount2(at_.c_str(), MNT_DETACH), 0);
  std::string said;
  for (int kills = 0; kills < 100 && said != "recovered 1"; ++kills) said = keeper_->kill_daemon();
  EXPECT_EQ(said, "recovered 1");
}

}  // namespace
}  // namespace berth::fuse::test

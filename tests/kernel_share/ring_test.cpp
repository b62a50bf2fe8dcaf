// Mounts over io_uring: that requests do come that way, what waits there, and how such a mount ends.
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <fstream>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/kernel_share/held_requests.hpp"
#include "tests/kernel_share/kept_share.hpp"
#include "tests/kernel_share/served_share.hpp"
#include "tests/support/requirements.hpp"

namespace berth::fuse::test {
namespace {

constexpr std::uint32_t kFsync = 20;  // <linux/fuse.h>
constexpr Rights kAll{.write = true, .root_access = true};

class OverIoUring : public testing::Test {
 protected:
  void SetUp() override {
    BERTH_NEEDS(why_no_mounts().empty(), why_no_mounts());
    BERTH_NEEDS(why_no_ring().empty(), why_no_ring());
    ASSERT_EQ(mkdir((temporary_ / "backing").c_str(), 0755), 0);
  }

  Place place(const std::string& name, bool io_uring = true) {
    return {.spec = {.id = MountId("task/" + name),
                     .backing_directory = temporary_ / "backing",
                     .rights = kAll,
                     .io_uring = io_uring},
            .path = temporary_ / name};
  }
  void serve(Share::Options options = {}) {
    share_ = std::make_unique<ServedShare>(std::vector{place("mnt")}, options);
    ASSERT_EQ(share_->error(), "");
  }

  TemporaryDirectory temporary_;
  const std::string at_ = temporary_ / "mnt";
  std::unique_ptr<ServedShare> share_;
};

// Processes that wait for a lock on the file.
class Waiters {
 public:
  Waiters(const std::string& path, int count) {
    for (int i = 0; i < count; ++i) {
      const pid_t child = fork();
      if (child == 0) _exit(wait_for_lock(path));
      children_.push_back(child);
    }
    for (const pid_t child : children_) wait_until_asleep(child);
  }
  ~Waiters() {
    for (const pid_t child : children_) kill(child, SIGKILL);
    results();
  }
  Waiters(const Waiters&) = delete;
  Waiters& operator=(const Waiters&) = delete;

  void interrupt() {
    for (const pid_t child : children_) kill(child, SIGUSR1);
  }
  // Of each its errno, 0 where it got the lock.
  std::vector<int> results() {
    std::vector<int> all;
    for (const pid_t child : children_) {
      int status = 0;
      waitpid(child, &status, 0);
      all.push_back(WIFEXITED(status) ? WEXITSTATUS(status) : 255);
    }
    children_.clear();
    return all;
  }

 private:
  static int wait_for_lock(const std::string& path) {
    struct sigaction nothing{};
    nothing.sa_handler = [](int) {};
    sigaction(SIGUSR1, &nothing, nullptr);
    const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
    struct flock whole{};
    whole.l_type = F_WRLCK;
    return fd >= 0 && fcntl(fd, F_SETLKW, &whole) == 0 ? 0 : errno;
  }
  // In fcntl(2): its number is the first word of what the process is doing.
  static void wait_until_asleep(pid_t child) {
    std::string doing;
    while (doing != "72") {
      std::ifstream("/proc/" + std::to_string(child) + "/syscall") >> doing;
      std::this_thread::yield();
    }
  }

  std::vector<pid_t> children_;
};

UniqueFd locked_file(const std::string& path) {
  UniqueFd file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  struct flock whole{};
  whole.l_type = F_WRLCK;
  if (!file || fcntl(file.get(), F_SETLK, &whole) != 0) return {};
  return file;
}

// From each processor: each has a queue of its own.
void expect_answers_everywhere(const std::string& directory) {
  cpu_set_t before;
  ASSERT_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
  for (int processor = 0; processor < CPU_SETSIZE; ++processor) {
    if (!CPU_ISSET(processor, &before)) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(processor, &one);
    ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
    const std::string path = directory + "/made-on-" + std::to_string(processor);
    EXPECT_EQ(mkdir(path.c_str(), 0755), 0);
    EXPECT_EQ(rmdir(path.c_str()), 0);
  }
  sched_setaffinity(0, sizeof(before), &before);
}

int errno_of_stat(const std::string& path) {
  return in_child({}, [&] {
    alarm(20);
    struct stat attributes{};
    return stat(path.c_str(), &attributes) == 0 ? 0 : errno;
  });
}

bool is_gone(int error) { return error == ENOTCONN || error == ECONNABORTED; }

TEST_F(OverIoUring, RequestsComeThatWayFromEveryProcessor) {
  serve();
  EXPECT_TRUE(share_->over_ring());
  expect_answers_everywhere(at_);
}

TEST_F(OverIoUring, ManyThatWaitForALockHoldUpNobodyAndAllGetIt) {
  serve();
  UniqueFd file = locked_file(at_ + "/locked");
  ASSERT_TRUE(file);
  Waiters waiters(at_ + "/locked", 40);
  expect_answers_everywhere(at_);
  file.reset();
  EXPECT_EQ(waiters.results(), std::vector<int>(40, 0));
}

TEST_F(OverIoUring, AnInterruptedWaitForALockIsEintr) {
  serve();
  const UniqueFd file = locked_file(at_ + "/locked");
  Waiters waiters(at_ + "/locked", 3);
  waiters.interrupt();
  EXPECT_EQ(waiters.results(), std::vector<int>(3, EINTR));
}

// The kernel loses an interrupt that comes between its choice of a place in the ring and the copying of the request to it.
TEST_F(OverIoUring, AWaiterForALockCanBeKilledAtAnyMoment) {
  serve();
  const UniqueFd file = locked_file(at_ + "/locked");
  ASSERT_TRUE(file);
  constexpr int kRounds = 60;
  for (int round = 0; round < kRounds; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      const int fd = open((at_ + "/locked").c_str(), O_RDWR | O_CLOEXEC);
      struct flock whole{};
      whole.l_type = F_WRLCK;
      fcntl(fd, F_SETLKW, &whole);
      _exit(0);
    }
    for (int moment = 0; moment < round % 20; ++moment) sched_yield();
    kill(child, SIGKILL);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (waitpid(child, nullptr, WNOHANG) == 0) {
      if (std::chrono::steady_clock::now() > deadline) {
        share_->detach(MountId("task/mnt"));
        FAIL() << "in round " << round;
      }
      sched_yield();
    }
  }
}

TEST_F(OverIoUring, AnFsyncThatTakesLongHoldsUpNobody) {
  const HeldRequests held(Moment::received, kFsync);
  serve({.fault = HeldRequests::hold});
  std::vector<std::future<int>> syncs;
  for (int i = 0; i < 3; ++i) {
    const std::string path = at_ + "/synced-" + std::to_string(i);
    syncs.push_back(std::async(std::launch::async, [path] {
      const UniqueFd file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
      return write(file.get(), "x", 1) == 1 ? fsync(file.get()) : -1;
    }));
    held.await_one();
  }
  expect_answers_everywhere(at_);
  for (int i = 0; i < 3; ++i) held.let_one_go();
  for (auto& sync : syncs) EXPECT_EQ(sync.get(), 0);
}

TEST_F(OverIoUring, DetachEndsAtOnceWhatWaitsAndWhatComes) {
  serve();
  const UniqueFd file = locked_file(at_ + "/locked");
  Waiters waiters(at_ + "/locked", 8);
  share_->detach(MountId("task/mnt"));
  for (const int error : waiters.results()) EXPECT_TRUE(is_gone(error)) << error;
  EXPECT_TRUE(is_gone(errno_of_stat(at_ + "/new")));
  EXPECT_EQ(share_->mounts_alive(), 0U);
}

TEST_F(OverIoUring, WhenTheDaemonIsKilledTheMountEndsAndOthersGoOn) {
  KeptShare kept({place("ring"), place("classic", false)}, {});
  ASSERT_EQ(kept.first(), "mounted");
  const UniqueFd in_ring = locked_file(temporary_ / "ring/file");
  ASSERT_TRUE(in_ring);
  for (int kills = 0; kills < 3; ++kills) {
    ASSERT_EQ(kept.kill_daemon(), "recovered 1");
    EXPECT_EQ(errno_of_stat(temporary_ / "classic/file"), 0);
    EXPECT_TRUE(is_gone(errno_of_stat(temporary_ / "ring/file")));
  }
}

TEST_F(OverIoUring, NothingIsKeptOfAMountThatEndedWithItsDaemon) {
  KeptShare kept({place("ring"), place("classic", false)}, {});
  ASSERT_EQ(kept.first(), "mounted");
  EXPECT_EQ(errno_of_stat(temporary_ / "classic/nothing"), ENOENT);
  ASSERT_EQ(kept.kill_daemon(), "recovered 1");
  const auto without = kept.holdings();
  KeptShare again({place("other-ring"), place("other", false)}, {});
  ASSERT_EQ(again.first(), "mounted");
  EXPECT_EQ(errno_of_stat(temporary_ / "other/nothing"), ENOENT);
  const UniqueFd file = locked_file(temporary_ / "other-ring/file");
  ASSERT_TRUE(file);
  ASSERT_EQ(again.kill_daemon(), "recovered 1");
  EXPECT_EQ(again.holdings().descriptors, without.descriptors);
}

TEST_F(OverIoUring, WhoeverWaitsForAnAnswerWhenTheDaemonIsKilledGetsAnError) {
  KeptShare kept({place("ring")}, {});
  ASSERT_EQ(kept.first(), "mounted");
  const UniqueFd file = locked_file(temporary_ / "ring/locked");
  Waiters waiters(temporary_ / "ring/locked", 4);
  ASSERT_EQ(kept.kill_daemon(), "recovered 0");
  for (const int error : waiters.results()) EXPECT_TRUE(is_gone(error)) << error;
}

TEST_F(OverIoUring, WhereTheKernelHasItSwitchedOffTheMountSaysWhatToDo) {
  std::ofstream(kRingSwitch) << 0;
  const ServedShare share(std::vector{place("mnt")});
  std::ofstream(kRingSwitch) << 1;
  EXPECT_NE(share.error().find(std::string("`echo 1 > ") + kRingSwitch), std::string::npos) << share.error();
}

}  // namespace
}  // namespace berth::fuse::test

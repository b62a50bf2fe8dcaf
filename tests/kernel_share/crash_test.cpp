// The daemon is killed while programs work on its mounts: they see a pause, not an error.
//
// The test plays the keeper: a process that shares its descriptor table with the daemon (CLONE_FILES), and memory.
#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <array>
#include <csignal>
#include <cstring>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "tests/kernel_share/served_share.hpp"
#include "tests/kernel_share/workload.hpp"
#include "tests/support/requirements.hpp"
#include "tests/support/shared_survival.hpp"

namespace berth::fuse::test {
namespace {

constexpr Rights kAll{.write = true, .root_access = true};

class Keeper {
 public:
  Keeper(Place place, Share::Options options) : place_(std::move(place)), options_(options) {
    ::mkdir(place_.path.c_str(), 0755);
    std::array<int, 2> ends{};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) std::abort();
    control_.reset(ends[0]);
    const UniqueFd other(ends[1]);
    keeper_ = fork();
    if (keeper_ == 0) {
      control_.reset();
      keep(other.get());
    }
    first_ = hear();
  }
  ~Keeper() {
    control_.reset();
    waitpid(keeper_, nullptr, 0);
    umount2(place_.path.c_str(), MNT_DETACH);
  }
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;

  const std::string& first() const { return first_; }
  // Kills the daemon; what the next one says when it serves.
  std::string kill_daemon() {
    send(control_.get(), "kill", 4, 0);
    return hear();
  }

 private:
  std::string hear() {
    std::array<char, 256> buffer{};
    const ssize_t size = recv(control_.get(), buffer.data(), buffer.size(), 0);
    return size <= 0 ? "keeper died" : std::string(buffer.data(), static_cast<std::size_t>(size));
  }

  [[noreturn]] void keep(int control) {
    berth::test::SharedSurvival survival;
    std::set<int> own;
    for (int fd = 0; fd <= control; ++fd) own.insert(fd);
    while (true) {
      const auto daemon = static_cast<pid_t>(syscall(SYS_clone, CLONE_FILES | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
      if (daemon == 0) serve(survival, control);
      std::array<char, 16> command{};
      const ssize_t size = recv(control, command.data(), command.size(), 0);
      kill(daemon, SIGKILL);
      waitpid(daemon, nullptr, 0);
      if (size <= 0) _exit(0);  // the table goes with us, and with it the connections
      survival.close_the_rest(own);
    }
  }

  [[noreturn]] void serve(Survival& survival, int control) {
    auto share = Share::start(options_, survival);
    std::string said = share ? "" : share.error().message;
    if (said.empty() && survival.restarts() == 0) {
      auto mount = (*share)->mount(place_.spec);
      if (!mount)
        said = mount.error().message;
      else if (move_mount(mount->get(), "", AT_FDCWD, place_.path.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0)
        said = "move_mount";
      if (said.empty()) said = "mounted";
    } else if (said.empty()) {
      auto recovered = (*share)->recover();
      said = recovered ? "recovered " + std::to_string(recovered->size()) : recovered.error().message;
    }
    send(control, said.data(), said.size(), 0);
    while (true) pause();
  }

  Place place_;
  Share::Options options_;
  UniqueFd control_;
  pid_t keeper_ = -1;
  std::string first_;
};

class Crash : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    BERTH_NEEDS(why_no_mounts().empty(), why_no_mounts());
    ASSERT_EQ(::mkdir((temporary_ / "backing").c_str(), 0777), 0);
    at_ = temporary_ / "mnt";
    const MountSpec spec{.id = MountId("crash/data"), .backing_directory = temporary_ / "backing", .rights = kAll};
    keeper_ = std::make_unique<Keeper>(Place{.spec = spec, .path = at_}, Share::Options{.passthrough = GetParam()});
    ASSERT_EQ(keeper_->first(), "mounted");
  }

  TemporaryDirectory temporary_;
  std::string at_;
  std::unique_ptr<Keeper> keeper_;
};

INSTANTIATE_TEST_SUITE_P(Share, Crash, testing::Bool(),
                         [](const auto& instance) { return instance.param ? "Passthrough" : "ThroughTheDaemon"; });

TEST_P(Crash, AVerifiedWorkloadSeesNoErrorThroughFiveKills) {
  Workload workload(at_, 3);
  for (int kills = 0; kills < 5; ++kills) {
    ASSERT_TRUE(workload.wait_for_rounds(25)) << workload.stop();
    ASSERT_EQ(keeper_->kill_daemon(), "recovered 1");
  }
  ASSERT_TRUE(workload.wait_for_rounds(25)) << workload.stop();
  EXPECT_EQ(workload.stop(), "");
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

  ASSERT_EQ(keeper_->kill_daemon(), "recovered 1");

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
  whole.l_type = F_UNLCK;
  ASSERT_EQ(fcntl(file.get(), F_SETLK, &whole), 0);
  ASSERT_EQ(flock(other.get(), LOCK_UN), 0);
  EXPECT_EQ(in_child({}, try_locks), 0);
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
  ASSERT_EQ(keeper_->kill_daemon(), "recovered 1");
  ASSERT_EQ(flock(held.get(), LOCK_UN), 0);
  int status = -1;
  ASSERT_EQ(waitpid(waiter, &status, 0), waiter);
  EXPECT_EQ(status, 0);
}

// The kernel ends the connection some time after the unmount: by the daemon of then or by one of the next it is forgotten.
TEST_P(Crash, AMountThatWasUnmountedIsNotRecovered) {
  ASSERT_EQ(umount2(at_.c_str(), MNT_DETACH), 0);
  std::string said;
  for (int kills = 0; kills < 100 && said != "recovered 0"; ++kills) said = keeper_->kill_daemon();
  EXPECT_EQ(said, "recovered 0");
}

}  // namespace
}  // namespace berth::fuse::test

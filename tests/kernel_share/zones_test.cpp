// Zones and throughput on real mounts: what waits, what resumes, what fails, and who is not touched.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <chrono>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "tests/kernel_share/served_share.hpp"
#include "tests/support/requirements.hpp"

namespace berth::fuse::test {
namespace {

using namespace std::chrono_literals;
using zones::Fault;
using zones::Network;

constexpr Rights kAll{.write = true, .root_access = true};
const MountId kA("task/a");
const MountId kB("task/b");

// Two mounts of one file system, in zones a and b.
class ZonesOfMounts : public testing::Test {
 protected:
  void SetUp() override {
    BERTH_NEEDS(why_no_mounts().empty(), why_no_mounts());
    backing_ = temporary_ / "backing";
    a_ = temporary_ / "a";
    b_ = temporary_ / "b";
    ASSERT_EQ(shell("mkdir " + backing_ + " && echo text > " + backing_ + "/f"), 0);
  }

  void serve(const Clock* clock = nullptr) {
    const auto place = [&](const std::string& zone) {
      return Place{.spec = {.id = MountId("task/" + zone),
                            .backing_directory = backing_,
                            .rights = kAll,
                            .file_system = "fs-1",
                            .ends = {.client = zone, .target = zone}},
                   .path = temporary_ / zone};
    };
    share_ = std::make_unique<ServedShare>(std::vector{place("a"), place("b")}, Share::Options{.clock = clock});
    ASSERT_EQ(share_->error(), "");
  }

  static Network with_fault(const std::string& zone, Fault fault) {
    Network network({"a", "b"});
    network.set_fault(zone, fault);
    return network;
  }

  // Runs the command in the background.
  static pid_t start(const std::string& command) {
    const pid_t child = fork();
    if (child == 0) {
      execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
      _exit(127);
    }
    return child;
  }
  static bool runs(pid_t child) { return waitpid(child, nullptr, WNOHANG) == 0; }
  static int status_of(pid_t child) {
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }

  // Moves the clock each time that something waits, until the program has ended; how far.
  std::chrono::microseconds time_until_end(pid_t child, std::chrono::microseconds step) {
    std::chrono::microseconds passed{0};
    for (int status = 0; waitpid(child, &status, WNOHANG) == 0;) {
      if (share_->parked(kA) + share_->parked(kB) == 0) continue;
      share_->advance(step);
      passed += step;
    }
    return passed;
  }

  MovedClock clock_;
  TemporaryDirectory temporary_;
  std::string backing_, a_, b_;
  std::unique_ptr<ServedShare> share_;
};

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }
int errno_of(int result) { return result < 0 ? errno : 0; }

TEST_F(ZonesOfMounts, IoOfALostZoneWaitsAndGoesOnWhenTheZoneIsBack) {
  serve();
  share_->set_network(with_fault("a", {.kind = Fault::Kind::lost}));
  const pid_t child = start("echo late > " + a_ + "/new && cat " + a_ + "/f > /dev/null");
  share_->wait_for_parked(kA, 1);
  EXPECT_TRUE(runs(child));
  EXPECT_FALSE(exists(backing_ + "/new"));
  // The other zone does not notice.
  EXPECT_EQ(shell("echo b > " + b_ + "/f && mv " + b_ + "/f " + b_ + "/g && echo c > " + b_ + "/f"), 0);
  EXPECT_TRUE(runs(child));
  share_->set_network(Network({"a", "b"}));
  EXPECT_EQ(status_of(child), 0);
  EXPECT_EQ(output_of("cat " + backing_ + "/new"), "late");
}

TEST_F(ZonesOfMounts, AProgramThatWaitsForALostZoneCanBeKilled) {
  serve();
  share_->set_network(with_fault("a", {.kind = Fault::Kind::lost}));
  const pid_t child = start("exec cat " + a_ + "/f");
  share_->wait_for_parked(kA, 1);
  kill(child, SIGKILL);
  EXPECT_EQ(status_of(child), 1000 + SIGKILL);
  EXPECT_EQ(share_->parked(kA), 0U);
}

TEST_F(ZonesOfMounts, AHarmlessSignalDoesNotEndTheWait) {
  serve();
  share_->set_network(with_fault("a", {.kind = Fault::Kind::lost}));
  const pid_t child = start("trap : USR1; cat " + a_ + "/f > /dev/null");
  share_->wait_for_parked(kA, 1);
  kill(child, SIGUSR1);
  EXPECT_EQ(share_->parked(kA), 1U);
  share_->set_network({});
  EXPECT_EQ(status_of(child), 0);
}

TEST_F(ZonesOfMounts, ASoftMountFailsWithEioWhenItsPatienceIsOver) {
  serve(&clock_);
  share_->set_network(with_fault("a", {Fault::Kind::lost, Fault::Clients::fail, 180s}));
  const std::string file = a_ + "/f";
  const pid_t child = fork();
  if (child == 0) _exit(errno_of(open(file.c_str(), O_RDONLY)));
  share_->wait_for_parked(kA, 1);
  share_->advance(180s - 1us);
  EXPECT_EQ(share_->parked(kA), 1U);
  share_->advance(1us);
  EXPECT_EQ(status_of(child), EIO);
}

TEST_F(ZonesOfMounts, AReadOnlyCopyAnswersReadsAndNoChanges) {
  serve();
  share_->set_network(with_fault("a", {.kind = Fault::Kind::lost, .clients = Fault::Clients::read_only}));
  EXPECT_EQ(output_of("cat " + a_ + "/f"), "text");
  EXPECT_EQ(in_child({}, [&] { return errno_of(open((a_ + "/f").c_str(), O_WRONLY)); }), EROFS);
  EXPECT_EQ(in_child({}, [&] { return errno_of(mkdir((a_ + "/d").c_str(), 0755)); }), EROFS);
  EXPECT_EQ(shell("mkdir " + b_ + "/d"), 0);
}

TEST_F(ZonesOfMounts, EachRequestWaitsForTheLatencyOfItsZones) {
  serve(&clock_);
  Network network({"a", "b"});
  network.set_latency("a", "a", 5ms);
  share_->set_network(network);
  const pid_t child = start("cat " + a_ + "/f > /dev/null");
  share_->wait_for_parked(kA, 1);
  share_->advance(5ms - 1us);
  EXPECT_EQ(share_->parked(kA), 1U);
  EXPECT_TRUE(runs(child));
  EXPECT_EQ(output_of("cat " + b_ + "/f"), "text");
  share_->advance(1us);
  // The lookup has gone through; open and read at least are to come.
  EXPECT_GE(time_until_end(child, 5ms), 10ms);
}

TEST_F(ZonesOfMounts, ProvisionedThroughputHoldsAllMountsOfTheFileSystemTogether) {
  serve(&clock_);
  share_->set_throughput("fs-1", {.mode = zones::ThroughputMode::provisioned, .provisioned_mibps = 2});
  const pid_t child = start("dd if=/dev/zero bs=1M count=4 status=none of=" + b_ + "/four; cat " + a_ + "/f > /dev/null");
  EXPECT_GE(time_until_end(child, 10ms), 1990ms);
  share_->no_throughput("fs-1");
  EXPECT_EQ(shell("head -c 4194304 /dev/zero > " + a_ + "/free"), 0);
}

TEST_F(ZonesOfMounts, AFileOpenInPassthroughKeepsGoingUntilItIsClosed) {
  serve(&clock_);
  BERTH_NEEDS(share_->passthrough(), "passthrough (kernel 6.9, libfuse 3.17)");
  const int before = open((a_ + "/f").c_str(), O_RDWR);
  ASSERT_GE(before, 0);
  share_->set_network(with_fault("a", {.kind = Fault::Kind::lost}));
  EXPECT_EQ(pwrite(before, "TEXT", 4, 0), 4);
  EXPECT_EQ(output_of("cat " + backing_ + "/f"), "TEXT");
  share_->set_network({});
  close(before);
}

TEST_F(ZonesOfMounts, RightsAreTakenFromAMountOfALostZoneWithoutWaitingForIt) {
  serve();
  const int file = open((a_ + "/f").c_str(), O_RDWR);
  ASSERT_GE(file, 0);
  share_->set_network(with_fault("a", {.kind = Fault::Kind::lost}));
  EXPECT_TRUE(share_->set_rights(kA, {.write = false, .root_access = true}));
  close(file);
  share_->set_network({});
  EXPECT_EQ(in_child({}, [&] { return errno_of(open((a_ + "/f").c_str(), O_RDWR)); }), EROFS);
}

TEST_F(ZonesOfMounts, FilesOpenedBeforeAndDuringALimitCanBeOpenTogether) {
  serve(&clock_);
  const std::string f = a_ + "/f", g = a_ + "/g";
  ASSERT_EQ(shell("echo g > " + g), 0);
  const int f_before = open(f.c_str(), O_RDWR);
  // Wide enough to hold nobody back.
  share_->set_throughput("fs-1", {.mode = zones::ThroughputMode::provisioned, .provisioned_mibps = 1024});
  const int f_during = open(f.c_str(), O_RDWR);
  const int g_during = open(g.c_str(), O_RDWR);
  share_->no_throughput("fs-1");
  const int g_after = open(g.c_str(), O_RDWR);
  const int f_after = open(f.c_str(), O_RDWR);
  for (const int file : {f_before, f_during, g_during, g_after, f_after}) {
    EXPECT_GE(file, 0);
    EXPECT_EQ(pwrite(file, "x", 1, 0), 1);
    close(file);
  }
  EXPECT_EQ(shell("echo again > " + g), 0);
  EXPECT_EQ(output_of("cat " + backing_ + "/g"), "again");
}

}  // namespace
}  // namespace berth::fuse::test

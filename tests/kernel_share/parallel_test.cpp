// Requests that take long hold up no others: of the same mount, and of other mounts.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/kernel_share/held_requests.hpp"
#include "tests/kernel_share/served_share.hpp"
#include "tests/support/requirements.hpp"

namespace berth::fuse::test {
namespace {

constexpr std::uint32_t kMkdir = 9;  // <linux/fuse.h>
constexpr Rights kAll{.write = true, .root_access = true};

class Parallel : public testing::Test {
 protected:
  void SetUp() override {
    BERTH_NEEDS(why_no_mounts().empty(), why_no_mounts());
    const auto place = [&](const std::string& name) {
      const std::string backing = temporary_ / (name + "-backing");
      EXPECT_EQ(mkdir(backing.c_str(), 0755), 0);
      // A directory in which something is being made is locked in the kernel: each has one of its own.
      for (const char* slow : {"/0", "/1", "/2"}) EXPECT_EQ(mkdir((backing + slow).c_str(), 0755), 0);
      return Place{.spec = {.id = MountId("task/" + name), .backing_directory = temporary_ / (name + "-backing"), .rights = kAll},
                   .path = temporary_ / name};
    };
    share_ = std::make_unique<ServedShare>(std::vector{place("a"), place("b")},
                                           Share::Options{.workers = 4, .fault = HeldRequests::hold});
    ASSERT_EQ(share_->error(), "");
  }

  std::future<int> begin_mkdir(const std::string& name) {
    auto made = std::async(std::launch::async, [path = temporary_ / name] { return mkdir(path.c_str(), 0755); });
    mkdirs_.await_one();
    return made;
  }

  TemporaryDirectory temporary_;
  HeldRequests mkdirs_{Moment::begun, kMkdir};
  std::unique_ptr<ServedShare> share_;
};

bool missing(const std::string& path) {
  struct stat attributes{};
  return stat(path.c_str(), &attributes) != 0 && errno == ENOENT;
}

TEST_F(Parallel, OneRequestThatTakesLongHoldsUpNoOtherOfItsMountAndNoOtherMount) {
  auto slow = begin_mkdir("a/0/slow");
  for (const std::string& place : {temporary_ / "a", temporary_ / "b"}) {
    EXPECT_TRUE(missing(place + "/nothing"));
    const int fd = open((place + "/file").c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
    EXPECT_GE(fd, 0);
    close(fd);
  }
  EXPECT_EQ(slow.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  mkdirs_.let_one_go();
  EXPECT_EQ(slow.get(), 0);
}

TEST_F(Parallel, AllWorkersButOneMayBeBusyWithLongRequestsOfOneMount) {
  std::vector<std::future<int>> slow;
  for (int i = 0; i < 3; ++i) slow.push_back(begin_mkdir("a/" + std::to_string(i) + "/slow"));
  EXPECT_TRUE(missing(temporary_ / "a/nothing"));
  EXPECT_TRUE(missing(temporary_ / "b/nothing"));
  for (int i = 0; i < 3; ++i) mkdirs_.let_one_go();
  for (auto& made : slow) EXPECT_EQ(made.get(), 0);
}

TEST_F(Parallel, AMountWithManyRequestsLeavesOthersTheirTurn) {
  std::atomic<bool> enough = false;
  std::atomic<unsigned> asked = 0;
  std::vector<std::jthread> flood;
  for (int i = 0; i < 8; ++i) {
    flood.emplace_back([&, i] {
      for (unsigned n = 0; !enough; ++n, ++asked) {
        EXPECT_TRUE(missing(temporary_ / "a/n" + std::to_string(i) + "-" + std::to_string(n)));
      }
    });
  }
  while (asked < 1000) std::this_thread::yield();
  const unsigned before = asked;
  for (int n = 0; n < 100; ++n) EXPECT_TRUE(missing(temporary_ / "b/n" + std::to_string(n)));
  const unsigned meanwhile = asked - before;
  enough = true;
  // A turn of one mount is 64 requests: as many for each of ours, and some slack.
  EXPECT_LT(meanwhile, 100U * 64 * 4);
}

}  // namespace
}  // namespace berth::fuse::test

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
    for (const char* name : {"a", "b"}) {
      const std::string backing = temporary_ / (std::string(name) + "-backing");
      ASSERT_EQ(mkdir(backing.c_str(), 0755), 0);
      // A directory in which something is being made is locked in the kernel: each has one of its own.
      for (const char* slow : {"/0", "/1", "/2"}) ASSERT_EQ(mkdir((backing + slow).c_str(), 0755), 0);
    }
    serve(4);
  }

  void serve(unsigned workers) {
    share_.reset();
    const auto place = [&](const std::string& name) {
      return Place{.spec = {.id = MountId("task/" + name), .backing_directory = temporary_ / (name + "-backing"), .rights = kAll},
                   .path = temporary_ / name};
    };
    share_ = std::make_unique<ServedShare>(std::vector{place("a"), place("b")},
                                           Share::Options{.workers = workers, .fault = HeldRequests::hold});
    ASSERT_EQ(share_->error(), "");
  }

  // Threads that ask for names of the first mount, one after the other, until they are stopped.
  class Flood {
   public:
    explicit Flood(const std::string& mount) {
      for (int i = 0; i < 8; ++i) {
        threads_.emplace_back([this, path = mount + "/n" + std::to_string(i) + "-"] {
          struct stat attributes{};
          for (unsigned n = 0; !enough_; ++n, ++asked_) EXPECT_NE(stat((path + std::to_string(n)).c_str(), &attributes), 0);
        });
      }
      while (asked_ < 1000) std::this_thread::yield();
    }
    ~Flood() { enough_ = true; }
    unsigned asked() const { return asked_; }

   private:
    std::atomic<bool> enough_ = false;
    std::atomic<unsigned> asked_ = 0;
    std::vector<std::jthread> threads_;
  };

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
  const Flood flood(temporary_ / "a");
  const unsigned before = flood.asked();
  for (int n = 0; n < 100; ++n) EXPECT_TRUE(missing(temporary_ / "b/n" + std::to_string(n)));
  // A turn of one mount is 64 requests: as many for each of ours, and some slack.
  EXPECT_LT(flood.asked() - before, 100U * 64 * 4);
}

// It was taken for one that does not come on, and so looked after its mount alone: for good, as long as that had requests.
TEST_F(Parallel, AfterAllWorkersWereBusyOtherMountsHaveTheirTurnAgain) {
  serve(1);
  const Flood flood(temporary_ / "a");
  auto slow = begin_mkdir("a/0/slow");
  EXPECT_EQ(slow.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);  // it is given up after 4
  mkdirs_.let_one_go();
  EXPECT_EQ(slow.get(), 0);
  const unsigned before = flood.asked();
  for (int n = 0; n < 100; ++n) EXPECT_TRUE(missing(temporary_ / "b/n" + std::to_string(n)));
  EXPECT_LT(flood.asked() - before, 100U * 64 * 4);
}

}  // namespace
}  // namespace berth::fuse::test

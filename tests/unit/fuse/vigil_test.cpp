#include "fuse/vigil.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

namespace berth::fuse {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

class Vigils : public testing::Test {
 protected:
  void requests(int count, microseconds apart) {
    for (int i = 0; i < count; ++i) vigil_.came_after(apart);
  }

  const Vigil::TimePoint now_{std::chrono::hours(1)};
  std::vector<bool> asked_;
  Vigil vigil_{[this](bool awake) { asked_.push_back(awake); }};
};

TEST_F(Vigils, BeginWithSomeRequestsThatCameSoonAfterOneAnother) {
  requests(3, microseconds(20));
  EXPECT_FALSE(vigil_.kept());
  requests(1, microseconds(20));
  EXPECT_TRUE(vigil_.kept());
  requests(100, microseconds(20));
  EXPECT_EQ(asked_, std::vector{true});
}

TEST_F(Vigils, DoNotBeginWhereEveryOtherRequestIsLate) {
  for (int i = 0; i < 50; ++i) {
    requests(3, microseconds(20));
    requests(1, milliseconds(1));
  }
  EXPECT_EQ(asked_, std::vector<bool>{});
}

TEST_F(Vigils, EndWhenNoneCame) {
  requests(4, microseconds(20));
  vigil_.served(now_);
  vigil_.none_came(now_ + milliseconds(2));
  EXPECT_EQ(asked_, (std::vector{true, false}));
  requests(3, microseconds(20));
  EXPECT_FALSE(vigil_.kept());
}

// One worker waits for all mounts, another one stays with the mount that keeps it busy.
TEST_F(Vigils, DoNotEndWhileAnotherWorkerServes) {
  requests(4, microseconds(20));
  vigil_.served(now_ + milliseconds(1));
  vigil_.none_came(now_ + milliseconds(2));
  EXPECT_EQ(asked_, std::vector{true});
}

// A program that writes its log a thousand times a second would else keep all processors busy.
TEST_F(Vigils, EndWhereRequestsComeInTimeButNotSoon) {
  requests(4, microseconds(20));
  requests(15, milliseconds(1));
  EXPECT_TRUE(vigil_.kept());
  requests(1, milliseconds(1));
  EXPECT_EQ(asked_, (std::vector{true, false}));
}

TEST_F(Vigils, OutlastALateRequest) {
  requests(4, microseconds(20));
  for (int i = 0; i < 50; ++i) {
    requests(10, milliseconds(1));
    requests(1, microseconds(20));
  }
  EXPECT_EQ(asked_, std::vector{true});
}

TEST(Vigil, EndsWithItself) {
  std::vector<bool> asked;
  {
    Vigil vigil([&](bool awake) { asked.push_back(awake); });
    for (int i = 0; i < 4; ++i) vigil.came_after({});
  }
  EXPECT_EQ(asked, (std::vector{true, false}));
}

TEST(Vigil, AsksTheKernelOnAGuestAndNobodyElsewhere) {
  std::string driver;
  std::ifstream("/sys/devices/system/cpu/cpuidle/current_driver") >> driver;
  const bool halts = driver == "haltpoll" && access("/dev/cpu_dma_latency", R_OK | W_OK) == 0;
  const auto ask = processors_awake();
  ASSERT_EQ(static_cast<bool>(ask), halts);
  if (!halts) return;
  ask(true);
  std::int32_t latency = -1;  // the lowest that anybody asks for
  std::ifstream("/dev/cpu_dma_latency", std::ios::binary).read(reinterpret_cast<char*>(&latency), sizeof(latency));
  EXPECT_EQ(latency, 0);
  ask(false);
}

TEST(Vigil, WithoutAnybodyToAskIsNotKept) {
  Vigil vigil(nullptr);
  for (int i = 0; i < 10; ++i) vigil.came_after({});
  EXPECT_FALSE(vigil.kept());
}

}  // namespace
}  // namespace berth::fuse

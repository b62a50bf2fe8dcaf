#include "fuse/vigil.hpp"

#include <gtest/gtest.h>

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
  vigil_.end();
  EXPECT_EQ(asked_, (std::vector{true, false}));
  requests(3, microseconds(20));
  EXPECT_FALSE(vigil_.kept());
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

TEST(Vigil, WithoutAnybodyToAskIsNotKept) {
  Vigil vigil(nullptr);
  for (int i = 0; i < 10; ++i) vigil.came_after({});
  EXPECT_FALSE(vigil.kept());
}

}  // namespace
}  // namespace berth::fuse

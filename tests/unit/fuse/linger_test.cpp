#include "fuse/linger.hpp"

#include <gtest/gtest.h>

namespace berth::fuse {
namespace {

using std::chrono::microseconds;

class Lingers : public testing::Test {
 protected:
  void next_request_after(microseconds gap) {
    linger_.slept(now_);
    now_ += gap;
    linger_.woken(now_, microseconds(50));
  }

  Linger::TimePoint now_{std::chrono::hours(1)};
  Linger linger_;
};

TEST_F(Lingers, NotAtFirst) { EXPECT_EQ(linger_.window(now_), microseconds(0)); }

TEST_F(Lingers, LongerEachTimeTheNextRequestCameSoon) {
  next_request_after(microseconds(5));
  EXPECT_EQ(linger_.window(now_), microseconds(10));
  next_request_after(microseconds(15));
  EXPECT_EQ(linger_.window(now_), microseconds(20));
}

TEST_F(Lingers, NeverLongerThanItMay) {
  for (int i = 0; i < 10; ++i) next_request_after(microseconds(5));
  EXPECT_EQ(linger_.window(now_), microseconds(50));
}

TEST_F(Lingers, NoMoreOnceARequestIsLong) {
  for (int i = 0; i < 10; ++i) next_request_after(microseconds(5));
  next_request_after(microseconds(51));
  EXPECT_EQ(linger_.window(now_), microseconds(0));
}

TEST_F(Lingers, NotWhereGivingWayTakesLongAndThenForLongerEachTime) {
  for (int i = 0; i < 10; ++i) next_request_after(microseconds(5));
  for (const int pause : {50, 100, 200}) {
    linger_.gave_way(now_ - std::chrono::milliseconds(3), now_);
    now_ += std::chrono::milliseconds(pause - 1);
    EXPECT_EQ(linger_.window(now_), microseconds(0)) << pause;
    now_ += std::chrono::milliseconds(2);
    EXPECT_EQ(linger_.window(now_), microseconds(50)) << pause;
  }
}

}  // namespace
}  // namespace berth::fuse

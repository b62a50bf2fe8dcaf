#include "fuse/linger.hpp"

#include <gtest/gtest.h>

namespace berth::fuse {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

class Lingers : public testing::Test {
 protected:
  void next_request_after(microseconds gap) {
    linger_.slept(now_);
    now_ += gap;
    linger_.woken(now_, microseconds(50));
  }

  void give_way_for(milliseconds time) {
    now_ += time;
    linger_.gave_way(now_ - time, now_);
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

TEST_F(Lingers, NotWhereGivingWayKeepsTakingLongAndThenForLongerEachTime) {
  for (int i = 0; i < 10; ++i) next_request_after(microseconds(5));
  for (const int pause : {50, 100, 200}) {
    for (int i = 0; i < 20; ++i) give_way_for(milliseconds(3));
    now_ += milliseconds(pause - 10);
    EXPECT_EQ(linger_.window(now_), microseconds(0)) << pause;
    now_ += milliseconds(11);
    EXPECT_EQ(linger_.window(now_), microseconds(50)) << pause;
  }
}

TEST_F(Lingers, OnWhereGivingWayTakesLongOnceInAWhile) {
  for (int i = 0; i < 10; ++i) next_request_after(microseconds(5));
  for (int i = 0; i < 1000; ++i) {
    now_ += milliseconds(50);
    give_way_for(milliseconds(3));
    ASSERT_EQ(linger_.window(now_), microseconds(50)) << i;
  }
}

}  // namespace
}  // namespace berth::fuse

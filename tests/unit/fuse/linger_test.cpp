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

TEST_F(Lingers, NotAtFirst) { EXPECT_EQ(linger_.window(), microseconds(0)); }

TEST_F(Lingers, LongerEachTimeTheNextRequestCameSoon) {
  next_request_after(microseconds(5));
  EXPECT_EQ(linger_.window(), microseconds(10));
  next_request_after(microseconds(15));
  EXPECT_EQ(linger_.window(), microseconds(20));
}

TEST_F(Lingers, NeverLongerThanItMay) {
  for (int i = 0; i < 10; ++i) next_request_after(microseconds(5));
  EXPECT_EQ(linger_.window(), microseconds(50));
}

TEST_F(Lingers, NoMoreOnceARequestIsLong) {
  for (int i = 0; i < 10; ++i) next_request_after(microseconds(5));
  next_request_after(microseconds(51));
  EXPECT_EQ(linger_.window(), microseconds(0));
}

}  // namespace
}  // namespace berth::fuse

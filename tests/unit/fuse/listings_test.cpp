#include "fuse/listings.hpp"

#include <gtest/gtest.h>

namespace berth::fuse {
namespace {

using std::chrono::seconds;

class KernelsList : public testing::Test {
 protected:
  static constexpr Ino kDirectory = 5;
  void read(std::uint32_t version) {
    listings_.opened(kDirectory);
    listings_.begun(kDirectory, version, now_);
    listings_.closed(kDirectory);
  }
  bool current(std::uint32_t version) const { return listings_.current(kDirectory, version, now_, seconds(1)); }

  Listings listings_;
  Listings::TimePoint now_{seconds(1000)};
};

TEST_F(KernelsList, IsNotUsedBeforeItWasRead) {
  listings_.opened(kDirectory);
  EXPECT_FALSE(current(0));
}

TEST_F(KernelsList, IsUsedAgainWhileNoNameHasChanged) {
  read(3);
  EXPECT_TRUE(current(3));
  EXPECT_FALSE(current(4));
}

TEST_F(KernelsList, IsReadAgainWhenItsEntriesAreRememberedNoMore) {
  read(3);
  now_ += seconds(1);
  EXPECT_FALSE(current(3));
}

TEST_F(KernelsList, MayHavePartsOfTwoVersionsWhileReadersOfBothAreAboutAndIsNotUsed) {
  listings_.opened(kDirectory);
  listings_.begun(kDirectory, 3, now_);
  read(4);
  EXPECT_FALSE(current(4));
  read(4);
  EXPECT_FALSE(current(4));
  listings_.closed(kDirectory);
  read(4);
  EXPECT_TRUE(current(4));
}

}  // namespace
}  // namespace berth::fuse

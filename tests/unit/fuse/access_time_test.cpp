#include "fuse/access_time.hpp"

#include <gtest/gtest.h>

#include <ctime>

namespace berth::fuse {
namespace {

struct stat file(time_t access_ago, time_t modification_ago, time_t change_ago) {
  const time_t now = std::time(nullptr);
  struct stat attributes{};
  attributes.st_atim.tv_sec = now - access_ago;
  attributes.st_mtim.tv_sec = now - modification_ago;
  attributes.st_ctim.tv_sec = now - change_ago;
  return attributes;
}

TEST(AccessTime, DoesNotChangeWhereTheFileWasReadSinceItWasChanged) { EXPECT_FALSE(reading_changes(file(5, 10, 10))); }

TEST(AccessTime, ChangesWhereTheFileWasWrittenOrItsAttributesChangedSince) {
  EXPECT_TRUE(reading_changes(file(10, 5, 5)));
  EXPECT_TRUE(reading_changes(file(7, 10, 5)));
  EXPECT_TRUE(reading_changes(file(5, 5, 5)));
}

TEST(AccessTime, ChangesOnceADay) { EXPECT_TRUE(reading_changes(file(24 * 60 * 60, 100 * 60 * 60, 100 * 60 * 60))); }

}  // namespace
}  // namespace berth::fuse

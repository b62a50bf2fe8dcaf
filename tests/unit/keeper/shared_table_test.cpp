#include "broker/keeper/shared_table.hpp"

#include <algorithm>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/keeper/keeper_survival.hpp"
#include "broker/keeper/restart_policy.hpp"

namespace berth::keeper {
namespace {

using namespace std::chrono_literals;

TEST(KeptDescriptors, AreListedInOrderOverTheWholeRange) {
  const auto table = SharedTable::make().value();
  for (const int fd : {KeptDescriptors::kMax - 1, 64, 63, 0, 7}) table->kept.add(fd);
  table->kept.remove(7);
  table->kept.remove(8);
  EXPECT_EQ(table->kept.all(), (std::vector<int>{0, 63, 64, KeptDescriptors::kMax - 1}));
}

TEST(ExitRing, KeepsTheLastRecordsAndKnowsWhichAreOverwritten) {
  const auto table = SharedTable::make().value();
  ExitRing& ring = table->exits;
  EXPECT_FALSE(ring.read(0));
  for (std::uint64_t i = 0; i < ExitRing::kSlots + 2; ++i) {
    EXPECT_EQ(ring.append(static_cast<pid_t>(i + 1), 0, TimePoint{std::chrono::seconds{i}}), i);
  }
  EXPECT_FALSE(ring.read(1));
  ASSERT_TRUE(ring.read(2));
  EXPECT_EQ(ring.read(2)->pid, 3);
  EXPECT_EQ(ring.read(2)->at, TimePoint{2s});
  EXPECT_FALSE(ring.read(2)->reaped);
  ring.mark_reaped(2);
  EXPECT_TRUE(ring.read(2)->reaped);
  EXPECT_FALSE(ring.read(ring.end()));
}

TEST(KeeperSurvival, ANewOneFindsTheRegionsOfTheOldOne) {
  const auto table = SharedTable::make().value();
  {
    KeeperSurvival survival{*table};
    const auto memory = survival.region("inodes", 10'000);
    ASSERT_TRUE(memory) << memory.error().message;
    EXPECT_EQ(memory->size(), 10'000U);
    EXPECT_EQ((*memory)[9'999], std::byte{0});
    (*memory)[9'999] = std::byte{42};
    EXPECT_EQ(survival.region("inodes", 5)->data(), memory->data());
  }
  KeeperSurvival survival{*table};
  EXPECT_THAT(survival.regions(), testing::ElementsAre("inodes"));
  EXPECT_EQ((*survival.region("inodes", 10'000))[9'999], std::byte{42});
  survival.remove_region("inodes");
  EXPECT_THAT(survival.regions(), testing::IsEmpty());
  EXPECT_EQ((*survival.region("inodes", 10'000))[9'999], std::byte{0}) << "a new region is zeroes";
  survival.remove_region("inodes");
}

TEST(KeeperSurvival, SmallRegionsShareAFileAndStayApartOverARestart) {
  const auto table = SharedTable::make().value();
  const auto name = [](int i) { return "small/" + std::to_string(i); };
  constexpr int kCount = 200;
  {
    KeeperSurvival survival{*table};
    for (int i = 0; i < kCount; ++i) std::ranges::fill(*survival.region(name(i), 100), static_cast<std::byte>(i));
    for (int i = 0; i < kCount; i += 2) survival.remove_region(name(i));
  }
  EXPECT_LE(table->surviving_descriptors().size(), 4U);
  KeeperSurvival survival{*table};
  for (int i = 0; i < kCount; i += 2) {
    const auto memory = survival.region(name(i), 100).value();
    EXPECT_EQ(std::ranges::count(memory, std::byte{0}), 100) << "region " << i << " is new: zeroes";
    std::ranges::fill(memory, std::byte{255});
  }
  for (int i = 1; i < kCount; i += 2) {
    EXPECT_EQ(std::ranges::count(*survival.region(name(i), 100), static_cast<std::byte>(i)), 100) << i;
  }
  for (int i = 0; i < kCount; ++i) survival.remove_region(name(i));
  EXPECT_THAT(table->surviving_descriptors(), testing::IsEmpty());
}

TEST(KeeperSurvival, RefusesWhatARegionCantBe) {
  const auto table = SharedTable::make().value();
  KeeperSurvival survival{*table};
  EXPECT_EQ(survival.region(std::string(64, 'n'), 1).error().code, Code::invalid_argument);
  EXPECT_EQ(survival.region("", 1).error().code, Code::invalid_argument);
  EXPECT_EQ(survival.region("none", 0).error().code, Code::invalid_argument);
  ASSERT_TRUE(survival.region(std::string(63, 'n'), 1));
  EXPECT_EQ(survival.region(std::string(63, 'n'), 2).error().code, Code::invalid_argument);
  survival.remove_region(std::string(63, 'n'));
  survival.remove_region("never seen");
}

TEST(KeeperSurvival, SurvivingDescriptorsAreTheKeptAndTheRegions) {
  const auto table = SharedTable::make().value();
  KeeperSurvival survival{*table};
  ASSERT_TRUE(survival.region("a", 1));
  survival.keep(1000);
  const auto surviving = table->surviving_descriptors();
  ASSERT_EQ(surviving.size(), 2U);
  EXPECT_EQ(surviving.back(), 1000);
  survival.remove_region("a");
  EXPECT_EQ(table->surviving_descriptors(), std::vector<int>{1000});
}

TEST(RestartPolicy, StartsAtOnceThenWaitsLongerThenGivesUp) {
  RestartPolicy policy{{.deaths_max = 8, .window = 10s, .at_once = 3, .delay = 50ms, .delay_max = 150ms}};
  const RestartPolicy::TimePoint start{};
  for (const auto expected : {0ms, 0ms, 0ms, 50ms, 100ms, 150ms, 150ms}) EXPECT_EQ(policy.died(start), expected);
  EXPECT_EQ(policy.died(start), std::nullopt);
}

TEST(RestartPolicy, NeverGivesUpADaemonThatIsKilled) {
  RestartPolicy policy{{.deaths_max = 8, .window = 10s, .at_once = 3, .delay = 50ms, .delay_max = 150ms}};
  RestartPolicy::TimePoint now{};
  for (int i = 0; i < 8; ++i) EXPECT_EQ(policy.died(now, RestartPolicy::Death::killed), 0ms);
  for (int i = 0; i < 200; ++i) EXPECT_EQ(policy.died(now, RestartPolicy::Death::killed), 50ms);
  EXPECT_EQ(policy.died(now), 0ms);  // nor do kills count for those that it dies by itself
  EXPECT_EQ(policy.died(now += 11s, RestartPolicy::Death::killed), 0ms);
}

TEST(RestartPolicy, ForgetsDeathsOlderThanTheWindow) {
  RestartPolicy policy{{.deaths_max = 3, .window = 10s, .at_once = 1, .delay = 50ms}};
  RestartPolicy::TimePoint now{};
  for (int i = 0; i < 20; ++i) EXPECT_EQ(policy.died(now += 11s), 0ms);
  EXPECT_EQ(policy.died(now += 1s), 50ms);
  EXPECT_EQ(policy.died(now += 1s), std::nullopt);
}

}  // namespace
}  // namespace berth::keeper

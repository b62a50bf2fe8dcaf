#include "fuse/turns.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <future>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace berth::fuse {
namespace {

constexpr InodeKey kDirectory{.device = 64, .number = 12};

TEST(Turns, WhoeverChangesTheSameNameWaits) {
  Turns turns;
  auto held = turns.take(Turns::of_name(kDirectory, "a"));
  std::atomic<bool> let_go = false;
  auto next = std::async(std::launch::async, [&] {
    const auto too = turns.take(Turns::of_name(kDirectory, "a"));
    return let_go.load();
  });
  for (int i = 0; i < 100; ++i) std::this_thread::yield();
  let_go = true;
  held = {};
  EXPECT_TRUE(next.get());
}

TEST(Turns, ANameOfAnotherDirectoryIsAnother) {
  EXPECT_NE(Turns::of_name(kDirectory, "a"), Turns::of_name({.device = 64, .number = 13}, "a"));
  EXPECT_NE(Turns::of_name(kDirectory, "a"), Turns::of_name({.device = 65, .number = 12}, "a"));
  EXPECT_NE(Turns::of_name(kDirectory, "a"), Turns::of_file(kDirectory));
}

// They were 256 in all: of two requests that had nothing in common one in so many waited for the other, however long that took.
TEST(Turns, NobodyWaitsForAnotherName) {
  Turns turns;
  std::set<Turns::Key> keys;
  std::vector<Turns::Held> all;
  for (int i = 0; i < 10'000; ++i) {
    const auto key = Turns::of_name(kDirectory, std::to_string(i));
    ASSERT_TRUE(keys.insert(key).second);
    all.push_back(turns.take(key));
  }
}

TEST(Turns, BothAreLetGoAndOneThatIsTwiceTheSameIsTakenOnce) {
  Turns turns;
  {
    const auto held = turns.take(1, 2);
  }
  {
    const auto held = turns.take(2, 2);
  }
  const auto one = turns.take(1);
  const auto other = turns.take(2);
}

TEST(Turns, OneThatIsMovedIsHeldOnce) {
  Turns turns;
  auto held = turns.take(1);
  auto moved = std::move(held);
  held = turns.take(2);
  moved = turns.take(3);
  const auto again = turns.take(1);
}

TEST(Turns, ManyThatTakeTwoInAnyOrderAllComeToTheirTurn) {
  Turns turns;
  std::array<int, 4> counts{};  // each guarded by the turn of its number
  {
    std::vector<std::jthread> threads;
    for (unsigned thread = 0; thread < 4; ++thread) {
      threads.emplace_back([&, thread] {
        for (unsigned i = 0; i < 2'000; ++i) {
          const unsigned one = (i + thread) % 4;
          const unsigned other = (i * 3 + thread * 2 + 1) % 4;
          const auto held = turns.take(one, other);
          ++counts[one];
          if (other != one) ++counts[other];
        }
      });
    }
  }
  unsigned expected = 0;
  for (unsigned thread = 0; thread < 4; ++thread)
    for (unsigned i = 0; i < 2'000; ++i) expected += (i + thread) % 4 == (i * 3 + thread * 2 + 1) % 4 ? 1 : 2;
  EXPECT_EQ(static_cast<unsigned>(counts[0] + counts[1] + counts[2] + counts[3]), expected);
}

}  // namespace
}  // namespace berth::fuse

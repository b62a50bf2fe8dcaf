#include "fuse/name_epochs.hpp"

#include <gtest/gtest.h>

namespace berth::fuse {
namespace {

TEST(NameEpochs, ANameMayBeServedUntilAllThatWereToldBeforeAreDropped) {
  NameEpochs names;
  const auto told_in = names.now();
  EXPECT_TRUE(names.may_be_served(told_in));
  const auto next = names.begin_next();
  EXPECT_TRUE(names.may_be_served(told_in)) << "the kernel has not heard of it yet";
  names.has_begun(next);
  EXPECT_FALSE(names.may_be_served(told_in));
  EXPECT_TRUE(names.may_be_served(names.now()));
}

// Two drop all names at once: the later one may be done first.
TEST(NameEpochs, WhatWasToldWhileAllNamesWereBeingDroppedCountsAsToldAfterIt) {
  NameEpochs names;
  const auto first = names.begin_next();
  const auto told_in = names.now();
  const auto second = names.begin_next();
  names.has_begun(second);
  EXPECT_FALSE(names.may_be_served(told_in));
  names.has_begun(first);
  EXPECT_FALSE(names.may_be_served(told_in)) << "the earlier one takes nothing back";
  EXPECT_TRUE(names.may_be_served(second));
}

TEST(NameEpochs, WhatTheKernelMayBeEnteringMayAlwaysBeServed) {
  NameEpochs names;
  names.has_begun(names.begin_next());
  EXPECT_TRUE(names.may_be_served(NameEpochs::kAlways));
}

TEST(NameEpochs, AKernelWithoutEpochsServesAllItWasTold) {
  NameEpochs names;
  names.begin_next();  // it refused
  EXPECT_TRUE(names.may_be_served(0));
}

TEST(NameEpochs, OnlyListsThatWereBegunBeforeAreDroppedAgain) {
  NameEpochs names;
  const auto list = names.now();
  names.has_begun(names.begin_next());
  EXPECT_FALSE(names.again_since(list)) << "for a reason that is not theirs";
  names.again_after_lists();
  EXPECT_TRUE(names.again_since(list));
  EXPECT_FALSE(names.again_since(names.now()));
}

TEST(NameEpochs, AFewNamesAreDroppedOneByOneHoweverFewWereTold) {
  NameEpochs names;
  int dropped = 1;
  while (!names.dropped_enough()) ++dropped;
  EXPECT_EQ(dropped, 32);
}

TEST(NameEpochs, TheMoreWereToldTheMoreAreDroppedOneByOne) {
  NameEpochs names;
  for (int i = 0; i < 4000; ++i) names.told();
  int dropped = 1;
  while (!names.dropped_enough()) ++dropped;
  EXPECT_EQ(dropped, 1000);
  names.has_begun(names.begin_next());
  dropped = 1;
  while (!names.dropped_enough()) ++dropped;
  EXPECT_EQ(dropped, 32) << "none was told since";
}

}  // namespace
}  // namespace berth::fuse

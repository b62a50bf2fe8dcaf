#include "fuse/coherence.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <future>
#include <memory>
#include <string>
#include <vector>

namespace berth::fuse {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// A kernel that notes what it was told.
class FakeCache final : public KernelCache {
 public:
  explicit FakeCache(bool epochs = true) : epochs_(epochs) {}
  bool drop_attributes(Ino ino) override {
    said.push_back("attributes " + std::to_string(ino));
    return --answers_in_flight < 0;
  }
  void drop_data(Ino ino, off_t offset, off_t length) override {
    said.push_back("data " + std::to_string(ino) + " " + std::to_string(offset) + "+" + std::to_string(length));
  }
  void drop_name(Ino directory, const std::string& name) override {
    said.push_back("name " + std::to_string(directory) + "/" + name);
  }
  bool drop_every_name() override {
    if (epochs_) said.emplace_back("all names");
    return epochs_;
  }
  bool drops_all_names() const override { return epochs_; }
  bool prune(std::span<const Ino>) override { return false; }
  bool slow() override { return is_slow; }
  void access_changed() override { said.emplace_back("access"); }

  std::vector<std::string> said;
  bool is_slow = false;
  int answers_in_flight = 0;  // how often it has not yet taken in of what it is told

 private:
  const bool epochs_;
};

// A kernel whose directory is locked by a request that is not answered yet.
class BusyCache final : public KernelCache {
 public:
  explicit BusyCache(bool epochs) : epochs_(epochs) {}
  bool drop_attributes(Ino) override { return true; }
  void drop_data(Ino, off_t, off_t) override { freed_.wait(); }
  void drop_name(Ino, const std::string&) override {
    asked = true;
    asked.notify_all();
    freed_.wait();
  }
  bool drop_every_name() override {
    ++all_dropped;
    return epochs_;
  }
  bool drops_all_names() const override { return epochs_; }
  bool prune(std::span<const Ino>) override { return false; }
  void access_changed() override {}

  bool slow() override { return is_slow; }

  std::promise<void> free;
  bool is_slow = false;
  std::atomic<int> all_dropped = 0;
  std::atomic<bool> asked = false;

 private:
  const bool epochs_;
  std::shared_future<void> freed_ = free.get_future().share();
};

class TwoMounts : public testing::Test {
 protected:
  static constexpr MountNumber kA = 1;
  static constexpr MountNumber kB = 2;
  TwoMounts() {
    coherence_.join(kA, a_);
    coherence_.join(kB, b_);
    directory_ = &coherence_.know({7, 1}, kA, 10);
    coherence_.know({7, 1}, kB, 20);
  }

  Notifier notifier_{std::chrono::minutes(1), std::chrono::minutes(1), std::chrono::minutes(1)};
  Coherence coherence_{notifier_};
  std::shared_ptr<FakeCache> a_ = std::make_shared<FakeCache>();
  std::shared_ptr<FakeCache> b_ = std::make_shared<FakeCache>();
  Node* directory_ = nullptr;
};

TEST_F(TwoMounts, OnlyTheOtherMountIsToldOfAChange) {
  coherence_.attributes_changed(*directory_, kA);
  EXPECT_THAT(a_->said, IsEmpty());
  EXPECT_THAT(b_->said, ElementsAre("attributes 20"));
}

TEST_F(TwoMounts, AChangeOfWhatOneMountKnowsAloneIsToldToNobody) {
  Node& file = coherence_.know({7, 2}, kA, 11);
  coherence_.attributes_changed(file, kA);
  EXPECT_THAT(b_->said, IsEmpty());
}

TEST_F(TwoMounts, ANewNameIsNotToldToAKernelThatNeverMissedIt) {
  coherence_.name_changed(*directory_, "new", std::nullopt, directory_->names_version(), kA);
  EXPECT_THAT(b_->said, ElementsAre("attributes 20"));  // its times have changed
}

TEST_F(TwoMounts, ANewNameIsToldToAKernelThatRemembersItAsMissing) {
  coherence_.missing(*directory_, "new", kB, b_->names());
  coherence_.name_changed(*directory_, "new", std::nullopt, directory_->names_version(), kA);
  EXPECT_THAT(b_->said, ElementsAre("attributes 20", "name 20/new"));
}

TEST_F(TwoMounts, ARemovedNameIsToldToAKernelThatKnowsItsInode) {
  coherence_.know({7, 2}, kB, 21);
  coherence_.name_changed(*directory_, "file", InodeKey{7, 2}, directory_->names_version(), kA);
  EXPECT_THAT(b_->said, ElementsAre("attributes 20", "name 20/file"));
}

TEST_F(TwoMounts, ARemovedNameWhoseInodeMayHaveBeenAnotherIsToldToAll) {
  const std::uint32_t seen = directory_->names_version();
  coherence_.name_changed(*directory_, "file", kB);  // another change came between
  b_->said.clear();
  coherence_.name_changed(*directory_, "file", InodeKey{7, 2}, seen, kA);
  EXPECT_THAT(b_->said, ElementsAre("attributes 20", "name 20/file"));
}

TEST_F(TwoMounts, AChangeTurnsTheVersionThatALookupUnderWayHasSeen) {
  const std::uint32_t seen = directory_->names_version();
  coherence_.name_changed(*directory_, "x", std::nullopt, seen, kA);
  EXPECT_NE(directory_->names_version(), seen);
}

TEST_F(TwoMounts, AKernelThatMissedVeryManyNamesDropsThemAllAndStartsAgain) {
  for (int i = 0; i < 1000; ++i) coherence_.missing(*directory_, "n" + std::to_string(i), kB, b_->names());
  coherence_.name_changed(*directory_, "n1", std::nullopt, directory_->names_version(), kA);
  EXPECT_THAT(b_->said, ElementsAre("attributes 20", "all names"));
  coherence_.name_changed(*directory_, "n1", std::nullopt, directory_->names_version(), kA);
  EXPECT_THAT(b_->said, ElementsAre("attributes 20", "all names", "attributes 20"));
}

TEST_F(TwoMounts, AKernelThatHasDroppedAllNamesIsToldOfNoneThatItDoesNotAskForAgain) {
  coherence_.know({7, 2}, kB, 21);
  coherence_.telling(*directory_, kB, b_->names());
  b_->drop_all_names();
  coherence_.name_changed(*directory_, "file", InodeKey{7, 2}, directory_->names_version(), kA);
  EXPECT_THAT(b_->said, ElementsAre("all names", "attributes 20"));
  b_->said.clear();
  coherence_.telling(*directory_, kB, b_->names());
  coherence_.name_changed(*directory_, "file", InodeKey{7, 2}, directory_->names_version(), kA);
  EXPECT_THAT(b_->said, ElementsAre("attributes 20", "name 20/file"));
}

TEST_F(TwoMounts, WhatWasMissingBeforeAllNamesWereDroppedIsNotToldAgain) {
  coherence_.missing(*directory_, "old", kB, b_->names());
  b_->drop_all_names();
  coherence_.missing(*directory_, "new", kB, b_->names());
  b_->said.clear();
  coherence_.name_changed(*directory_, "old", std::nullopt, directory_->names_version(), kA);
  coherence_.name_changed(*directory_, "new", std::nullopt, directory_->names_version(), kA);
  EXPECT_THAT(b_->said, ElementsAre("attributes 20", "attributes 20", "name 20/new"));
}

TEST_F(TwoMounts, NamesOfAListThatIsBeingTakenInAreDroppedOneByOne) {
  coherence_.taking_in(*directory_, kB);
  for (int i = 0; i < 1000; ++i) coherence_.missing(*directory_, "n" + std::to_string(i), kB, b_->names());
  b_->drop_all_names();  // perhaps before it enters them
  b_->said.clear();
  for (int i = 0; i < 3; ++i) coherence_.name_changed(*directory_, "n1", kA);
  EXPECT_THAT(b_->said, ElementsAre("attributes 20", "name 20/n1", "attributes 20", "name 20/n1", "attributes 20", "name 20/n1"));
  b_->said.clear();
  coherence_.taken_in(*directory_, kB, b_->names());
  coherence_.name_changed(*directory_, "n1", kA);
  EXPECT_THAT(b_->said, ElementsAre("attributes 20", "all names"));
}

TEST_F(TwoMounts, AKernelWhoseRequestsMayBeHeldBackDropsAllNamesAndThoseOfAListAgainAfterwards) {
  b_->is_slow = true;
  const auto begun = b_->names().now();
  coherence_.taking_in(*directory_, kB);
  coherence_.name_changed(*directory_, "n", kA);
  EXPECT_THAT(b_->said, ElementsAre("attributes 20", "all names"));
  EXPECT_TRUE(b_->names().again_since(begun));
}

TEST_F(TwoMounts, WhereDroppingNamesHasTakenLongerThanAskingForThemAllAgainAllAreDropped) {
  const auto dropped_one_by_one = [&](int told) {
    for (int i = 0; i < told; ++i) b_->names().told();
    coherence_.telling(*directory_, kB, b_->names());
    b_->said.clear();
    for (int i = 0; i < 1000; ++i) coherence_.name_changed(*directory_, "x", kA);
    EXPECT_EQ(std::ranges::count(b_->said, "all names"), 1);
    return std::ranges::count(b_->said, "name 20/x");
  };
  EXPECT_EQ(dropped_one_by_one(1), 31);
  EXPECT_EQ(dropped_one_by_one(1000), 249);
}

TEST_F(TwoMounts, AKernelThatIsJustTakingAnInodeInIsToldAgainUntilItKnowsIt) {
  b_->answers_in_flight = 3;
  coherence_.attributes_changed(*directory_, kA);
  EXPECT_THAT(b_->said, ElementsAre("attributes 20", "attributes 20", "attributes 20", "attributes 20"));
  b_->said.clear();
  b_->answers_in_flight = 1;
  coherence_.name_changed(*directory_, "n", kA);
  EXPECT_EQ(std::ranges::count(b_->said, "attributes 20"), 2);
}

TEST_F(TwoMounts, PagesGoWhereTheFileIsOpen) {
  Node& file = coherence_.know({7, 2}, kA, 11);
  coherence_.know({7, 2}, kB, 21);
  coherence_.data_changed(file, kA, 10, 5);
  EXPECT_THAT(b_->said, IsEmpty());
  coherence_.opened(file, kB, 21, false, false);
  coherence_.opened(file, kA, 11, true, false);
  coherence_.data_changed(file, kA, 10, 5);
  EXPECT_THAT(b_->said, ElementsAre("data 21 10+5"));
  EXPECT_THAT(a_->said, IsEmpty());
}

TEST_F(TwoMounts, WhoWritesDoesNotWaitForAMountWhoseRequestsMayBeHeldBack) {
  Node& file = coherence_.know({7, 2}, kA, 11);
  const auto busy = std::make_shared<BusyCache>(true);
  busy->is_slow = true;
  coherence_.join(3, busy);
  coherence_.know({7, 2}, 3, 31);
  coherence_.opened(file, 3, 31, false, false);
  for (int i = 0; i < 1000; ++i) coherence_.data_changed(file, kA, 10, 5);
  busy->free.set_value();
}

TEST_F(TwoMounts, WhatAnotherMountHasOpenForWritingIsSaidUntilTheLastClose) {
  Node& file = coherence_.know({7, 2}, kA, 11);
  coherence_.know({7, 2}, kB, 21);
  coherence_.opened(file, kA, 11, true, true);
  coherence_.opened(file, kA, 11, true, true);
  EXPECT_THAT(b_->said, ElementsAre("attributes 21", "attributes 21"));
  EXPECT_TRUE(coherence_.opens(file, kB).written_elsewhere);
  EXPECT_FALSE(coherence_.opens(file, kA).written_elsewhere);
  EXPECT_TRUE(coherence_.opens(file, kA).written_here);
  coherence_.closed(file, kA, 11, true);
  EXPECT_TRUE(coherence_.opens(file, kB).written_elsewhere);
  coherence_.closed(file, kA, 11, true);
  EXPECT_FALSE(coherence_.opens(file, kB).written_elsewhere);
}

TEST_F(TwoMounts, AReaderIsAnnouncedOnlyWhereItChangesTheAccessTime) {
  Node& file = coherence_.know({7, 2}, kA, 11);
  coherence_.know({7, 2}, kB, 21);
  coherence_.opened(file, kA, 11, false, false);
  EXPECT_THAT(b_->said, IsEmpty());
  EXPECT_TRUE(coherence_.opens(file, kB).read_elsewhere);
  coherence_.opened(file, kA, 11, false, true);
  EXPECT_THAT(b_->said, ElementsAre("attributes 21"));
}

TEST_F(TwoMounts, AMountThatForgetsAFileItWroteLeavesNoWriterBehind) {
  Node& file = coherence_.know({7, 2}, kA, 11);
  coherence_.know({7, 2}, kB, 21);
  coherence_.opened(file, kA, 11, true, true);
  coherence_.unknow(file, kA, 11);
  EXPECT_FALSE(coherence_.opens(file, kB).written_elsewhere);
}

TEST_F(TwoMounts, AMountThatHasLeftIsToldNothing) {
  coherence_.leave(kB);
  coherence_.attributes_changed(*directory_, kA);
  EXPECT_THAT(b_->said, IsEmpty());
}

TEST(Notifier, DropsAllNamesOfAKernelWhoseDirectoryIsBusy) {
  const auto busy = std::make_shared<BusyCache>(true);
  Notifier notifier(std::chrono::milliseconds(1));
  notifier.drop({{busy, 1, "x"}});
  EXPECT_EQ(busy->all_dropped, 1);
  busy->free.set_value();
}

TEST(Notifier, AKernelThatIsBusyHoldsUpNoOther) {
  const auto busy = std::make_shared<BusyCache>(true);
  const auto other = std::make_shared<FakeCache>();
  Notifier notifier(std::chrono::minutes(1));
  std::vector<std::future<void>> waiting;
  for (int i = 0; i < 8; ++i) {
    waiting.push_back(std::async(std::launch::async, [&] { notifier.drop({{busy, 1, "x"}}); }));
  }
  busy->asked.wait(false);
  notifier.drop({{other, 1, "x"}});
  EXPECT_THAT(other->said, ElementsAre("name 1/x"));
  busy->free.set_value();
}

struct stat of_size(off_t size) {
  struct stat attributes{};
  attributes.st_size = size;
  return attributes;
}

TEST_F(TwoMounts, AChangePastTheShareIsToldToAll) {
  Node& file = coherence_.know({7, 2}, kA, 11);
  coherence_.know({7, 2}, kB, 21);
  coherence_.hand_out(file, kA, of_size(1));
  coherence_.attributes_changed_past({7, 2}, stamp_of(of_size(2)));
  EXPECT_THAT(a_->said, ElementsAre("attributes 11"));
  EXPECT_THAT(b_->said, ElementsAre("attributes 21"));
  coherence_.name_changed_past({7, 1}, "name");
  EXPECT_THAT(a_->said, ElementsAre("attributes 11", "attributes 10", "name 10/name"));
}

TEST_F(TwoMounts, AnEventOfWhatKernelsHaveSeenAlreadyIsToldToNobody) {
  Node& file = coherence_.know({7, 2}, kA, 11);
  coherence_.hand_out(file, kA, of_size(1));
  coherence_.attributes_changed_past({7, 2}, stamp_of(of_size(1)));
  EXPECT_THAT(a_->said, IsEmpty());
}

TEST_F(TwoMounts, AMountThatSeesAChangePastTheShareFirstTellsTheOther) {
  Node& file = coherence_.know({7, 2}, kA, 11);
  coherence_.know({7, 2}, kB, 21);
  coherence_.hand_out(file, kA, of_size(1));
  coherence_.hand_out(file, kB, of_size(2));
  EXPECT_THAT(a_->said, ElementsAre("attributes 11"));
  EXPECT_THAT(b_->said, IsEmpty());
}

TEST_F(TwoMounts, WhatTheShareChangedItselfIsNoNewsToTheOther) {
  Node& file = coherence_.know({7, 2}, kA, 11);
  coherence_.know({7, 2}, kB, 21);
  coherence_.hand_out(file, kB, of_size(1));
  coherence_.attributes_changed(file, kA);
  coherence_.hand_out(file, kA, of_size(2));
  EXPECT_THAT(b_->said, ElementsAre("attributes 21"));
}

TEST_F(TwoMounts, AFileIsUnheardOnlyWhileSomebodyWritesIt) {
  Node& file = coherence_.know({7, 2}, kA, 11);
  coherence_.know({7, 2}, kB, 21);
  EXPECT_FALSE(coherence_.stop_hearing({7, 2}));
  coherence_.opened(file, kA, 11, true, true);
  coherence_.opened(file, kB, 21, true, true);
  EXPECT_TRUE(coherence_.stop_hearing({7, 2}));
  EXPECT_FALSE(coherence_.stop_hearing({7, 2}));
  EXPECT_FALSE(coherence_.closed(file, kA, 11, true));
  EXPECT_TRUE(coherence_.closed(file, kB, 21, true));
}

}  // namespace
}  // namespace berth::fuse

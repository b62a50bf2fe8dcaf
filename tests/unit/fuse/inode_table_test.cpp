#include "fuse/inode_table.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace berth::fuse {
namespace {

class InodeTables : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "berth-inodes-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    path_ = name;
    make_table(1);
    ASSERT_TRUE(table_->create(opened("")));
  }
  void TearDown() override { std::filesystem::remove_all(path_); }

  void make_table(MountNumber number) { table_ = std::make_unique<InodeTable>(survival_, "share/1", number, cache_, coherence_); }
  UniqueFd opened(const std::string& name) const {
    return UniqueFd(open((path_ / name).c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  }
  struct stat stat_of(const std::string& name) const {
    struct stat attributes{};
    EXPECT_EQ(lstat((path_ / name).c_str(), &attributes), 0);
    return attributes;
  }
  Ino retain(const std::string& name) {
    struct stat attributes = stat_of(name);
    const auto ino = table_->retain(opened(name), attributes);
    EXPECT_TRUE(ino);
    return ino.value_or(0);
  }
  std::string make_file(const std::string& name) const {
    std::ofstream(path_ / name) << name;
    return name;
  }
  ino_t number_behind(Ino ino) {
    struct stat attributes{};
    const auto reach = table_->reach(ino);
    return reach && fstat(reach->fd(), &attributes) == 0 ? attributes.st_ino : 0;
  }

  std::filesystem::path path_;
  VolatileSurvival survival_;
  DescriptorCache cache_{2};
  Notifier notifier_;
  Coherence coherence_{notifier_};
  std::unique_ptr<InodeTable> table_;
};

TEST_F(InodeTables, TheRootIsNodeidOneAndIsNeverForgotten) {
  table_->forget(kRootIno, 1000);
  EXPECT_EQ(number_behind(kRootIno), stat_of("").st_ino);
}

TEST_F(InodeTables, MemoryOfForgottenInodesGoesBackAndTheirNodeidsDoNotComeAgain) {
  constexpr int kFiles = 4 * IdleBlocks::kSlots;
  std::vector<Ino> before;
  std::vector<InodeRecord*> records;
  for (int i = 0; i < kFiles; ++i) before.push_back(retain(make_file(std::to_string(i))));
  for (const Ino ino : before) records.push_back(table_->record(ino));
  for (const Ino ino : before) table_->forget(ino, 1);
  const auto zeroed = std::ranges::count_if(records, [](const InodeRecord* r) { return r->number == 0 && r->generation == 0; });
  EXPECT_GT(zeroed, kFiles / 2);
  EXPECT_EQ(number_behind(kRootIno), stat_of("").st_ino);
  const std::set<Ino> gone(before.begin(), before.end());
  for (int i = 0; i < kFiles; ++i) {
    const Ino again = retain(std::to_string(i));
    EXPECT_FALSE(gone.contains(again));
    EXPECT_EQ(number_behind(again), stat_of(std::to_string(i)).st_ino);
  }
  EXPECT_EQ(table_->reach(before[0]).error(), Errno{ESTALE});
}

TEST_F(InodeTables, ANameThatIsNotOpenedLeadsToTheSameNodeid) {
  make_file("a");
  struct stat attributes = stat_of("a");
  const Ino ino = table_->retain_named(opened("").get(), "a", attributes);
  if (ino == 0) GTEST_SKIP() << "the file system's handles do not tell the inode's number";
  EXPECT_EQ(retain("a"), ino);
  EXPECT_EQ(number_behind(ino), attributes.st_ino);
  table_->forget(ino, 2);
  EXPECT_EQ(table_->size(), 1U);
}

TEST_F(InodeTables, ANameThatHasBecomeAnothersMeanwhileLeadsNowhere) {
  make_file("a");
  make_file("b");
  struct stat attributes = stat_of("a");
  std::filesystem::rename(path_ / "b", path_ / "a");
  EXPECT_EQ(table_->retain_named(opened("").get(), "a", attributes), 0U);
  EXPECT_EQ(table_->size(), 1U);
}

TEST_F(InodeTables, OneInodeHasOneNodeidUnderAllItsNames) {
  make_file("a");
  std::filesystem::create_hard_link(path_ / "a", path_ / "b");
  EXPECT_EQ(retain("a"), retain("b"));
  EXPECT_EQ(table_->size(), 2U);
}

TEST_F(InodeTables, AnInodeLivesUntilTheLastLookupIsReturned) {
  const Ino ino = retain(make_file("a"));
  retain("a");
  table_->forget(ino, 1);
  EXPECT_EQ(number_behind(ino), stat_of("a").st_ino);
  table_->forget(ino, 1);
  EXPECT_EQ(number_behind(ino), 0U);
  EXPECT_EQ(table_->size(), 1U);
}

TEST_F(InodeTables, AForgottenNodeidIsNotGivenToAnotherInode) {
  const Ino old = retain(make_file("a"));
  table_->forget(old, 1);
  const Ino fresh = retain(make_file("b"));
  EXPECT_NE(old, fresh);
  ASSERT_FALSE(table_->reach(old));
  EXPECT_EQ(table_->reach(old).error(), Errno{ESTALE});
}

TEST_F(InodeTables, ForgedNodeidsAreStale) {
  for (const Ino forged : {Ino{0}, Ino{2}, Ino{77}, ~Ino{0}, Ino{1} << 32U, (Ino{5} << 32U) | 1U, Ino{1} << 31U}) {
    const auto reach = table_->reach(forged);
    ASSERT_FALSE(reach) << forged;
    EXPECT_EQ(reach.error(), Errno{ESTALE});
    table_->forget(forged, 1);
  }
}

TEST_F(InodeTables, MoreInodesThanCachedDescriptorsAreAllReached) {
  std::vector<Ino> inos;
  for (int i = 0; i < 500; ++i) inos.push_back(retain(make_file(std::to_string(i))));
  for (int i = 0; i < 500; ++i) {
    EXPECT_EQ(number_behind(inos[static_cast<std::size_t>(i)]), stat_of(std::to_string(i)).st_ino);
  }
}

TEST_F(InodeTables, AnInodeIsFoundAfterItWasRenamed) {
  const Ino ino = retain(make_file("a"));
  cache_.drop_mount(1);
  std::filesystem::rename(path_ / "a", path_ / "b");
  EXPECT_EQ(number_behind(ino), stat_of("b").st_ino);
}

TEST_F(InodeTables, APinnedInodeIsReachedWithoutAName) {
  const Ino ino = retain(make_file("a"));
  const auto number = stat_of("a").st_ino;
  table_->pin(ino, opened("a"));
  std::filesystem::remove(path_ / "a");
  cache_.drop_mount(1);
  EXPECT_EQ(number_behind(ino), number);
}

TEST_F(InodeTables, TheNextDaemonFindsTheSameNodeids) {
  make_file("gone");
  const Ino ino = retain(make_file("a"));
  const Ino gone = retain("gone");
  table_->forget(gone, 1);
  table_.reset();
  make_table(1);
  const auto names = survival_.regions();
  ASSERT_TRUE(table_->adopt({names.begin(), names.end()}));
  EXPECT_EQ(number_behind(kRootIno), stat_of("").st_ino);
  EXPECT_EQ(number_behind(ino), stat_of("a").st_ino);
  EXPECT_EQ(retain("a"), ino);
  EXPECT_FALSE(table_->reach(gone));
}

TEST_F(InodeTables, AnInodeNumberUsedAgainGetsANodeidOfItsOwn) {
  const Ino old = retain(make_file("a"));
  if (table_->record(old)->handle_size == 0) GTEST_SKIP() << "file handles do not work here: the number can't be used again";
  struct stat other = stat_of(make_file("b"));
  other.st_ino = stat_of("a").st_ino;  // as if the number had been used again
  const auto fresh = table_->retain(opened("b"), other);
  ASSERT_TRUE(fresh);
  EXPECT_NE(*fresh, old);
}

}  // namespace
}  // namespace berth::fuse

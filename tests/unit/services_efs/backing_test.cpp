#include "broker/services/efs/backing.hpp"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::services::efs {
namespace {

class Directories : public ::testing::Test {
 protected:
  Directories() {
    std::string name = (std::filesystem::temp_directory_path() / "berth-test-XXXXXX").string();
    parent = ::mkdtemp(name.data());
    std::filesystem::create_directories(elsewhere());
    backing = directories_in(places());
  }
  ~Directories() override { std::filesystem::remove_all(parent); }
  std::string path() const { return parent + "/file-systems/" + id.str(); }
  std::string elsewhere() const { return parent + "/big-disk"; }
  Places places() const { return Places(parent + "/file-systems", {{"big", elsewhere()}}); }

  const fuse::FileSystemId id{"fs-1"};
  std::string parent;
  Backing backing;
};

TEST_F(Directories, AreOpenToReadWhateverTheUmaskIs) {
  const auto before = ::umask(077);
  ASSERT_TRUE(backing.make(id, ""));
  ::umask(before);
  struct stat status{};
  ASSERT_EQ(::stat(path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0755U);
  EXPECT_TRUE(backing.make(id, "")) << "made already";
}

TEST_F(Directories, AreRemovedWithWhatADeadReplicationLeft) {
  ASSERT_TRUE(backing.make(id, ""));
  const auto left = parent + "/file-systems/.replica-fs-1";
  std::filesystem::create_directories(left + "/n1");
  ASSERT_TRUE(backing.remove(id));
  EXPECT_FALSE(std::filesystem::exists(left));
}

TEST_F(Directories, AreReplicatedFromOnePlaceToAnother) {
  const fuse::FileSystemId copy("fs-2");
  ASSERT_TRUE(backing.make(id, "") && backing.make(copy, "big"));
  std::ofstream(path() + "/file") << "text";
  fuse::replica::Progress progress;
  const auto report = replicate_in(places(), id, copy, std::nullopt, progress);
  ASSERT_TRUE(report && report->complete());
  EXPECT_TRUE(std::filesystem::exists(elsewhere() + "/fs-2/file"));
  EXPECT_EQ(progress.files, 1U);
}

TEST_F(Directories, AreRemovedWithAllThatIsInThemAndMayBeGoneAlready) {
  ASSERT_TRUE(backing.make(id, ""));
  std::filesystem::create_directories(path() + "/a/b");
  std::ofstream(path() + "/a/b/file") << "text";
  ASSERT_TRUE(backing.remove(id));
  EXPECT_TRUE(std::filesystem::is_empty(parent + "/file-systems"));
  EXPECT_TRUE(backing.remove(id));
}

TEST_F(Directories, InAPlaceAreThereAndStayThereWithoutItsName) {
  ASSERT_TRUE(backing.make(id, "big"));
  EXPECT_TRUE(backing.make(id, "big")) << "made already";
  std::ofstream(path() + "/file") << std::string(100'000, 'x');
  EXPECT_TRUE(std::filesystem::exists(elsewhere() + "/fs-1/file"));
  const Places without(parent + "/file-systems");
  EXPECT_EQ(without.directory(id), elsewhere() + "/fs-1");
  EXPECT_THAT(without.all(), testing::UnorderedElementsAre(parent + "/file-systems", elsewhere()));
  EXPECT_GE(directories_in(without).measure(id, {})->total, 100'000U);
  ASSERT_TRUE(directories_in(without).remove(id));
  EXPECT_TRUE(std::filesystem::is_empty(elsewhere()));
  EXPECT_TRUE(std::filesystem::is_empty(parent + "/file-systems"));
}

TEST_F(Directories, InAPlaceThatIsNotMountedAreNotRemoved) {
  ASSERT_TRUE(backing.make(id, "big"));
  std::ofstream(path() + "/file") << "text";
  std::filesystem::rename(elsewhere(), parent + "/unmounted");
  std::filesystem::create_directories(elsewhere());
  const auto refused = backing.remove(id);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::failed_precondition);
  EXPECT_THAT(refused.error().message, testing::HasSubstr("mount its disk"));
  std::filesystem::remove(elsewhere());
  std::filesystem::rename(parent + "/unmounted", elsewhere());
  EXPECT_TRUE(std::filesystem::exists(path() + "/file"));
  EXPECT_TRUE(backing.remove(id));
}

TEST_F(Directories, InAPlaceAreRemovedToTheEndAfterADeathInBetween) {
  ASSERT_TRUE(backing.make(id, "big"));
  std::filesystem::create_directories(path() + "/a/b");
  std::filesystem::rename(elsewhere() + "/fs-1", elsewhere() + "/.deleted-fs-1");  // the first death
  ASSERT_TRUE(backing.remove(id));
  EXPECT_TRUE(std::filesystem::is_empty(elsewhere()));
  std::filesystem::create_directories(elsewhere() + "/.deleted-fs-1");  // the last one: the link is gone
  ASSERT_TRUE(backing.remove(id));
  EXPECT_TRUE(std::filesystem::is_empty(elsewhere()));
}

TEST_F(Directories, InAPlaceThatNobodyNamedAreNotMade) {
  const auto refused = backing.make(id, "bigger");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::invalid_argument);
  EXPECT_THAT(refused.error().message, testing::HasSubstr("there are: big "));
}

TEST_F(Directories, AHardLinkCountsOnce) {
  ASSERT_TRUE(backing.make(id, ""));
  std::ofstream(path() + "/file") << std::string(100'000, 'x');
  const auto once = backing.measure(id, {});
  ASSERT_TRUE(once);
  EXPECT_GE(once->total, 100'000U);
  std::filesystem::create_hard_link(path() + "/file", path() + "/link");
  EXPECT_EQ(backing.measure(id, {})->total, once->total);
}

TEST_F(Directories, AreToldApartRightBelowTheRootAndWhereAnAccessPointIs) {
  ASSERT_TRUE(backing.make(id, ""));
  std::filesystem::create_directories(path() + "/teams/red/deep/er");
  std::filesystem::create_directories(path() + "/teams/blue");
  std::ofstream(path() + "/teams/red/deep/er/file") << std::string(100'000, 'x');
  std::ofstream(path() + "/teams/blue/file") << std::string(50'000, 'x');
  std::ofstream(path() + "/at-the-root") << "x";
  const auto sizes = backing.measure(id, {"/teams/red", "/nowhere"});
  ASSERT_TRUE(sizes);
  EXPECT_EQ(sizes->directories.size(), 2U);
  EXPECT_GE(sizes->directories.at("/teams/red"), 100'000U);
  EXPECT_LT(sizes->directories.at("/teams/red"), 150'000U);
  EXPECT_GE(sizes->directories.at("/teams"), 150'000U);
  EXPECT_LE(sizes->directories.at("/teams"), sizes->total);
}

}  // namespace
}  // namespace berth::services::efs

#include "broker/services/efs/backing.hpp"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

namespace berth::services::efs {
namespace {

class Directories : public ::testing::Test {
 protected:
  Directories() {
    std::string name = (std::filesystem::temp_directory_path() / "berth-test-XXXXXX").string();
    parent = ::mkdtemp(name.data());
    backing = directories_below(parent + "/file-systems");
  }
  ~Directories() override { std::filesystem::remove_all(parent); }
  std::string path() const { return backing_directory(parent + "/file-systems", id); }

  const fuse::FileSystemId id{"fs-1"};
  std::string parent;
  Backing backing;
};

TEST_F(Directories, AreOpenToReadWhateverTheUmaskIs) {
  const auto before = ::umask(077);
  ASSERT_TRUE(backing.make(id));
  ::umask(before);
  struct stat status{};
  ASSERT_EQ(::stat(path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0755U);
  EXPECT_TRUE(backing.make(id)) << "made already";
}

TEST_F(Directories, AreRemovedWithWhatADeadReplicationLeft) {
  ASSERT_TRUE(backing.make(id));
  const auto left = parent + "/file-systems/.replica-fs-1";
  std::filesystem::create_directories(left + "/n1");
  ASSERT_TRUE(backing.remove(id));
  EXPECT_FALSE(std::filesystem::exists(left));
}

TEST_F(Directories, AreReplicatedWithinTheirParent) {
  const fuse::FileSystemId copy("fs-2");
  ASSERT_TRUE(backing.make(id) && backing.make(copy));
  std::ofstream(path() + "/file") << "text";
  fuse::replica::Progress progress;
  const auto report = replicate_below(parent + "/file-systems", id, copy, std::nullopt, progress);
  ASSERT_TRUE(report && report->complete());
  EXPECT_TRUE(std::filesystem::exists(parent + "/file-systems/fs-2/file"));
  EXPECT_EQ(progress.files, 1U);
}

TEST_F(Directories, AreRemovedWithAllThatIsInThemAndMayBeGoneAlready) {
  ASSERT_TRUE(backing.make(id));
  std::filesystem::create_directories(path() + "/a/b");
  std::ofstream(path() + "/a/b/file") << "text";
  ASSERT_TRUE(backing.remove(id));
  EXPECT_TRUE(std::filesystem::is_empty(parent + "/file-systems"));
  EXPECT_TRUE(backing.remove(id));
}

TEST_F(Directories, AHardLinkCountsOnce) {
  ASSERT_TRUE(backing.make(id));
  std::ofstream(path() + "/file") << std::string(100'000, 'x');
  const auto once = backing.measure(id, {});
  ASSERT_TRUE(once);
  EXPECT_GE(once->total, 100'000U);
  std::filesystem::create_hard_link(path() + "/file", path() + "/link");
  EXPECT_EQ(backing.measure(id, {})->total, once->total);
}

TEST_F(Directories, AreToldApartRightBelowTheRootAndWhereAnAccessPointIs) {
  ASSERT_TRUE(backing.make(id));
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

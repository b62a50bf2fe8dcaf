// What is found out about a directory before a file system is kept in it, on file systems that lack something.
#include "fuse/backing_traits.hpp"

#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/kernel_share/served_share.hpp"
#include "tests/support/requirements.hpp"

namespace berth::fuse::test {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Not;

std::vector<std::string> lacks_of(const BackingTraits& traits) {
  std::vector<std::string> lacks;
  for (const auto& lack : traits.lacks) lacks.emplace_back(lack.what);
  return lacks;
}

class Traits : public testing::Test {
 protected:
  void SetUp() override { BERTH_NEEDS(why_no_mounts().empty(), why_no_mounts()); }

  TemporaryDirectory temporary_;
  std::string place_ = temporary_ / "place";
};

TEST_F(Traits, OfATmpfsAreComplete) {
  std::filesystem::create_directories(place_);
  ASSERT_EQ(mount("berth", place_.c_str(), "tmpfs", 0, nullptr), 0);
  const auto traits = look_at_backing(place_);
  ASSERT_TRUE(traits) << traits.error().message;
  EXPECT_EQ(traits->type, "tmpfs");
  EXPECT_THAT(lacks_of(*traits), Not(Contains("passthrough")));
  EXPECT_THAT(lacks_of(*traits), Not(Contains("file handles")));
  EXPECT_THAT(lacks_of(*traits), Not(Contains("supplementary groups")));
  EXPECT_THAT(lacks_of(*traits), Not(Contains("177 hard links")));
  EXPECT_TRUE(std::filesystem::is_empty(place_)) << "something was left";
  umount2(place_.c_str(), MNT_DETACH);
}

TEST_F(Traits, OfAFileSystemBehindFuseSayWhatIsMissing) {
  std::filesystem::create_directories(temporary_ / "disk");
  const ServedShare share({{.spec = {.id = MountId("below/it"),
                                     .backing_directory = temporary_ / "disk",
                                     .rights = {.write = true, .root_access = true}},
                            .path = place_}});
  const auto traits = look_at_backing(place_);
  ASSERT_TRUE(traits) << traits.error().message;
  EXPECT_EQ(traits->type, "fuse.berth");
  EXPECT_THAT(lacks_of(*traits), IsSupersetOf({"file handles", "passthrough", "change notification", "extended attributes"}));
  EXPECT_THAT(lacks_of(*traits), Not(Contains("POSIX locks")));
  EXPECT_THAT(lacks_of(*traits), Not(Contains("RENAME_EXCHANGE")));
  EXPECT_TRUE(std::filesystem::is_empty(place_)) << "something was left";
}

// As an NFS export with root_squash does.
TEST_F(Traits, ADirectoryWhereRootIsNobodyIsRefused) {
  std::filesystem::create_directories(temporary_ / "disk");
  std::filesystem::permissions(temporary_ / "disk", std::filesystem::perms::all);
  const ServedShare share(
      {{.spec = {.id = MountId("below/it"), .backing_directory = temporary_ / "disk", .rights = {.write = true}},
        .path = place_}});
  const auto traits = look_at_backing(place_);
  ASSERT_FALSE(traits);
  EXPECT_EQ(traits.error().code, Code::failed_precondition);
  EXPECT_THAT(traits.error().message, HasSubstr("no_root_squash"));
  EXPECT_TRUE(std::filesystem::is_empty(place_)) << "something was left";
}

// As FUSE file systems do that serve all as the one who mounted them.
TEST_F(Traits, ADirectoryWhereAllFilesAreOnesOwnIsRefused) {
  std::filesystem::create_directories(temporary_ / "disk");
  const ServedShare share({{.spec = {.id = MountId("below/it"),
                                     .backing_directory = temporary_ / "disk",
                                     .identity = PosixUser{0, 0, {}},
                                     .rights = {.write = true, .root_access = true}},
                            .path = place_}});
  const auto traits = look_at_backing(place_);
  ASSERT_FALSE(traits);
  EXPECT_EQ(traits.error().code, Code::failed_precondition);
  EXPECT_THAT(traits.error().message, HasSubstr("do not belong to the user who made them"));
}

TEST_F(Traits, ADirectoryThatIsNotThereIsNamed) {
  const auto traits = look_at_backing(temporary_ / "nowhere");
  ASSERT_FALSE(traits);
  EXPECT_THAT(traits.error().message, HasSubstr("nowhere"));
}

}  // namespace
}  // namespace berth::fuse::test

// On file systems that rename what is held instead of removing it (NFS), the share holds no file whose name it takes away.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "fuse/backing_kind.hpp"
#include "tests/kernel_share/served_share.hpp"
#include "tests/support/requirements.hpp"

namespace berth::fuse::test {
namespace {

constexpr Rights kAll{.write = true, .root_access = true};
constexpr std::uint32_t kUnlink = 10;
constexpr std::uint32_t kRename = 12;
constexpr std::uint32_t kRename2 = 45;

// In the server: EBUSY takes the call's place where a descriptor stands for the file, so that the caller sees it.
int refuse_held(Moment moment, std::uint32_t opcode) {
  if (moment != Moment::begun || (opcode != kUnlink && opcode != kRename && opcode != kRename2)) return 0;
  for (const auto& open : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    if (std::filesystem::read_symlink(open, gone).filename() == "victim") return EBUSY;
  }
  return 0;
}

class HeldFiles : public testing::Test {
 protected:
  void SetUp() override {
    BERTH_NEEDS(why_no_mounts().empty(), why_no_mounts());
    ASSERT_EQ(mkdir((temporary_ / "backing").c_str(), 0755), 0);
  }

  void serve(bool hold_no_files) {
    const auto place = [&](const std::string& name) {
      return Place{.spec = {.id = MountId("task/" + name), .backing_directory = temporary_ / "backing", .rights = kAll},
                   .path = temporary_ / name};
    };
    share_ = std::make_unique<ServedShare>(std::vector{place("a"), place("b")},
                                           Share::Options{.hold_no_files = hold_no_files, .fault = refuse_held});
    ASSERT_EQ(share_->error(), "");
  }

  // Both mounts know it, and have asked for and changed its attributes.
  void make_known(const std::string& name) const {
    ASSERT_EQ(mknod((temporary_ / ("a/" + name)).c_str(), S_IFREG | 0644, 0), 0);
    for (const char* mount : {"a/", "b/"}) {
      const std::string path = temporary_ / (mount + name);
      struct stat attributes{};
      ASSERT_EQ(stat(path.c_str(), &attributes), 0);
      ASSERT_EQ(chmod(path.c_str(), 0600), 0);
      ASSERT_EQ(truncate(path.c_str(), 10), 0);
    }
    ASSERT_EQ(shell("ls -l " + temporary_ / "b" + " > /dev/null"), 0);
  }

  TemporaryDirectory temporary_;
  std::unique_ptr<ServedShare> share_;
};

TEST_F(HeldFiles, AFileThatIsRemovedOrReplacedIsNotHeld) {
  serve(true);
  ASSERT_NO_FATAL_FAILURE(make_known("victim"));
  EXPECT_EQ(unlink((temporary_ / "b/victim").c_str()), 0) << errno;
  struct stat attributes{};
  EXPECT_NE(stat((temporary_ / "a/victim").c_str(), &attributes), 0);
  ASSERT_NO_FATAL_FAILURE(make_known("victim"));
  ASSERT_NO_FATAL_FAILURE(make_known("other"));
  EXPECT_EQ(rename((temporary_ / "a/other").c_str(), (temporary_ / "a/victim").c_str()), 0) << errno;
  EXPECT_EQ(stat((temporary_ / "b/victim").c_str(), &attributes), 0);
  EXPECT_EQ(attributes.st_nlink, 1U);
}

TEST_F(HeldFiles, ADirectoryAndAnOpenFileAreThereUntilTheyAreClosed) {
  serve(true);
  ASSERT_EQ(mkdir((temporary_ / "a/directory").c_str(), 0755), 0);
  const UniqueFd directory(open((temporary_ / "a/directory").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_EQ(rmdir((temporary_ / "b/directory").c_str()), 0);
  struct stat attributes{};
  EXPECT_EQ(fstat(directory.get(), &attributes), 0) << errno;
  const UniqueFd file(open((temporary_ / "a/file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  ASSERT_EQ(write(file.get(), "kept", 4), 4);
  ASSERT_EQ(unlink((temporary_ / "b/file").c_str()), 0);
  EXPECT_EQ(fstat(file.get(), &attributes), 0) << errno;
  std::string text(4, ' ');
  EXPECT_EQ(pread(file.get(), text.data(), text.size(), 0), 4);
  EXPECT_EQ(text, "kept");
}

// Else the first test would tell nothing.
TEST_F(HeldFiles, ElsewhereTheyAreHeldSoThatWhatIsLeftOfThemCanBeSeen) {
  const UniqueFd backing(open((temporary_ / "backing").c_str(), O_PATH | O_CLOEXEC));
  BERTH_NEEDS(!BackingKind::of(backing.get())->renames_held_files(), "a file system other than NFS");
  serve(false);
  ASSERT_NO_FATAL_FAILURE(make_known("victim"));
  EXPECT_EQ(unlink((temporary_ / "b/victim").c_str()), -1);
  EXPECT_EQ(errno, EBUSY);
}

}  // namespace
}  // namespace berth::fuse::test

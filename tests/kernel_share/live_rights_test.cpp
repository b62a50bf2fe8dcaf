// Rights that a mount loses while files on it are open, and gets back.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include <gtest/gtest.h>

#include "broker/base/thread_sanitizer.hpp"
#include "tests/kernel_share/served_share.hpp"
#include "tests/support/requirements.hpp"

namespace berth::fuse::test {
namespace {

constexpr Rights kAll{.write = true, .root_access = true};
constexpr Rights kReadOnly{.write = false, .root_access = true};
constexpr Rights kNone{.mount = false};

int errno_of(ssize_t result) { return result < 0 ? errno : 0; }

class LiveRights : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    BERTH_NEEDS(why_no_mounts().empty(), why_no_mounts());
    if (GetParam() && kThreadSanitizer)
      GTEST_SKIP() << "ThreadSanitizer takes the helper that shares the daemon's memory for a fork";
    ASSERT_EQ(shell("mkdir -m 1777 " + backing_ + " && echo text > " + backing_ + "/file && chmod 666 " + backing_ + "/file"), 0);
    MountSpec spec{.id = id_, .backing_directory = backing_, .rights = kAll};
    spec.held = true;
    share_ = std::make_unique<ServedShare>(std::vector<Place>{{spec, at_}}, Share::Options{.passthrough = GetParam()});
    ASSERT_EQ(share_->error(), "");
    ASSERT_EQ(error_of_open(O_RDONLY), 0);
    passthrough_ = share_->passthrough();  // not every kernel has it
  }
  void set(Rights rights) { ASSERT_TRUE(share_->set_rights(id_, rights)); }
  UniqueFd opened(int flags) const { return UniqueFd(open((at_ + "/file").c_str(), flags | O_CLOEXEC)); }
  int error_of_open(int flags) const { return errno_of(opened(flags).get()); }
  static int error_of_write(const UniqueFd& file) { return errno_of(pwrite(file.get(), "T", 1, 0)); }
  static int error_of_read(const UniqueFd& file) {
    char byte = 0;
    return errno_of(pread(file.get(), &byte, 1, 0));
  }
  // What a lost right answers on a file that was open with it: the kernel's own I/O ends for good, the daemon's is asked each
  // time.
  int lost(int asked) const { return passthrough_ ? EIO : asked; }

  const MountId id_{"task/data"};
  TemporaryDirectory temporary_;
  const std::string backing_ = temporary_ / "backing", at_ = temporary_ / "data";
  std::unique_ptr<ServedShare> share_;
  bool passthrough_ = false;
};
INSTANTIATE_TEST_SUITE_P(Share, LiveRights, testing::Bool(),
                         [](const auto& instance) { return instance.param ? "Passthrough" : "ThroughTheDaemon"; });

TEST_P(LiveRights, TheRightToMountActsAtOnceAndComesBack) {
  const auto file = opened(O_RDONLY);
  ASSERT_EQ(shell("ls " + at_ + " >/dev/null && cat " + at_ + "/file >/dev/null"), 0);
  set(kNone);
  EXPECT_EQ(error_of_open(O_RDONLY), EACCES);
  EXPECT_EQ(errno_of(mkdir((at_ + "/new").c_str(), 0755)), EACCES);
  struct stat status{};
  EXPECT_EQ(errno_of(stat((at_ + "/file").c_str(), &status)), EACCES);
  EXPECT_EQ(errno_of(stat(at_.c_str(), &status)), EACCES);
  EXPECT_EQ(error_of_read(file), lost(EACCES));
  set(kAll);
  EXPECT_EQ(output_of("cat " + at_ + "/file"), "text");
  EXPECT_EQ(shell("echo more > " + at_ + "/new"), 0);
  EXPECT_EQ(error_of_read(file), lost(0));  // in passthrough only a new open reads again
  EXPECT_EQ(error_of_read(opened(O_RDONLY)), 0);
}

TEST_P(LiveRights, AFileOpenForWritingCanNotBeWrittenAnyMore) {
  const auto reader = opened(O_RDONLY), writer = opened(O_RDWR);
  ASSERT_EQ(error_of_write(writer), 0);
  set(kReadOnly);
  EXPECT_EQ(error_of_write(writer), lost(EROFS));
  EXPECT_EQ(errno_of(ftruncate(writer.get(), 0)), lost(EROFS));
  EXPECT_EQ(errno_of(fallocate(writer.get(), 0, 0, 100)), EROFS);  // always the daemon's
  EXPECT_EQ(error_of_read(reader), lost(0));  // the inode is what the kernel gives up, for all who have it open
  EXPECT_EQ(error_of_open(O_RDWR), EROFS);
  EXPECT_EQ(output_of("cat " + at_ + "/file"), "Text");
  set(kAll);
  EXPECT_EQ(error_of_write(opened(O_RDWR)), 0);
  EXPECT_EQ(output_of("cat " + backing_ + "/file"), "Text");
}

TEST_P(LiveRights, RootWithoutRootAccessIsNobodyAtOnceButKeepsWhatItHasOpen) {
  ASSERT_EQ(shell("echo s > " + at_ + "/secret && chmod 600 " + at_ + "/secret"), 0);
  const UniqueFd file(open((at_ + "/secret").c_str(), O_RDONLY | O_CLOEXEC));
  set({.write = true, .root_access = false});
  EXPECT_EQ(errno_of(UniqueFd(open((at_ + "/secret").c_str(), O_RDONLY)).get()), EACCES);
  EXPECT_EQ(error_of_read(file), 0);
  set(kAll);
  EXPECT_EQ(error_of_read(UniqueFd(open((at_ + "/secret").c_str(), O_RDONLY | O_CLOEXEC))), 0);
}

TEST_P(LiveRights, AFileOpenForReadingStaysReadableWithoutTheRightToWrite) {
  const auto file = opened(O_RDONLY);
  set(kReadOnly);
  EXPECT_EQ(error_of_read(file), 0);
  set(kAll);
  EXPECT_EQ(error_of_read(file), 0);
}

TEST_P(LiveRights, AFileWithoutANameIsTakenBackToo) {
  const auto file = opened(O_RDWR);
  ASSERT_EQ(unlink((at_ + "/file").c_str()), 0);
  ASSERT_EQ(error_of_write(file), 0);
  set(kReadOnly);
  EXPECT_EQ(error_of_write(file), lost(EROFS));
}

// Why it is done the way it is: ending the connection takes nothing back from the kernel's own I/O.
TEST_P(LiveRights, AnEndedConnectionLeavesPassthroughFilesAsTheyAre) {
  const auto file = opened(O_RDWR);
  share_->detach(id_);
  EXPECT_NE(error_of_open(O_RDONLY), 0);
  EXPECT_EQ(error_of_write(file), passthrough_ ? 0 : ENOTCONN);
}

// What docs/SHARE.md says can't be done: no call of the kernel takes a mapping of a file in passthrough back.
TEST_P(LiveRights, AMappingStaysInPassthroughAndIsNotWrittenBackElse) {
  const auto file = opened(O_RDWR);
  auto* bytes = static_cast<char*>(mmap(nullptr, 4, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0));
  ASSERT_NE(bytes, MAP_FAILED);
  set(kReadOnly);
  bytes[0] = 'N';
  EXPECT_EQ(msync(bytes, 4, MS_SYNC) == 0, passthrough_);
  EXPECT_EQ(output_of("cat " + backing_ + "/file"), passthrough_ ? "Next" : "text");
  munmap(bytes, 4);
}

}  // namespace
}  // namespace berth::fuse::test

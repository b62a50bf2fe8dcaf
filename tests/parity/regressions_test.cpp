// What random sequences have found, each by name.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "tests/kernel_share/served_share.hpp"
#include "tests/support/requirements.hpp"

namespace berth::parity {
namespace {

using namespace fuse::test;

class ParityRegression : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    BERTH_NEEDS(why_no_mounts().empty(), why_no_mounts());
    ASSERT_EQ(::mkdir((temporary_ / "backing").c_str(), 0777), 0);
    ASSERT_EQ(::chmod((temporary_ / "backing").c_str(), 0777), 0);
    const auto place = [&](const std::string& name) {
      fuse::MountSpec spec{.id = fuse::MountId("regression/" + name),
                           .backing_directory = temporary_ / "backing",
                           .rights = {.write = true, .root_access = true}};
      if (name == "point") spec.identity = fuse::PosixUser{1001, 1001, {}};
      return Place{.spec = spec, .path = temporary_ / name};
    };
    share_ = std::make_unique<ServedShare>(std::vector{place("a"), place("b"), place("point")},
                                           fuse::Share::Options{.passthrough = GetParam()});
    ASSERT_EQ(share_->error(), "");
  }

  mode_t mode_of(const std::string& name) const {
    struct stat attributes{};
    return ::stat((temporary_ / name).c_str(), &attributes) == 0 ? attributes.st_mode & 07777 : 0;
  }

  TemporaryDirectory temporary_;
  std::unique_ptr<ServedShare> share_;
};

INSTANTIATE_TEST_SUITE_P(Share, ParityRegression, testing::Bool(),
                         [](const auto& instance) { return instance.param ? "Passthrough" : "ThroughTheDaemon"; });

TEST_P(ParityRegression, ALockOfAnOpenFileDescriptionGoesWhenItCloses) {
  const int result = in_child({}, [&] {
    alarm(20);  // a lock that stays would be waited for for ever
    struct flock whole{};
    whole.l_type = F_WRLCK;
    const int holder = open((temporary_ / "a/l").c_str(), O_RDWR | O_CREAT, 0644);
    if (fcntl(holder, F_OFD_SETLK, &whole) != 0) return 1;
    const int other = open((temporary_ / "b/l").c_str(), O_RDWR);
    if (fcntl(other, F_OFD_SETLK, &whole) == 0 || errno != EAGAIN) return 2;
    close(holder);
    return fcntl(other, F_OFD_SETLKW, &whole) == 0 ? 0 : 3;
  });
  EXPECT_EQ(result, 0);
}

TEST_P(ParityRegression, ADescriptorHandedOnWritesToASuidFileThatItsHolderMayNotOpen) {
  const int fd = open((temporary_ / "a/f").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_GE(fd, 0);
  ASSERT_EQ(fchmod(fd, 04660), 0);
  EXPECT_EQ(in_child({.uid = 1002, .gid = 1002, .groups = {}}, [&] { return pwrite(fd, "x", 1, 0) == 1 ? 0 : errno; }), 0);
  close(fd);
  EXPECT_EQ(mode_of("backing/f"), 0660U);
}

TEST_P(ParityRegression, ADescriptorHandedOnTruncatesASuidFileThatItsHolderMayNotOpen) {
  const int fd = open((temporary_ / "a/f").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_EQ(fchmod(fd, 06700), 0);
  EXPECT_EQ(in_child({.uid = 1003, .gid = 1003, .groups = {}}, [&] { return ftruncate(fd, 4097) == 0 ? 0 : errno; }), 0);
  close(fd);
  EXPECT_EQ(mode_of("backing/f") & S_ISUID, 0U);
}

TEST_P(ParityRegression, AChangeOfOwnerBehindAnAccessPointTakesTheSuidBitOnly) {
  const std::string path = temporary_ / "point/f";
  ASSERT_EQ(shell("touch " + path + " && chmod 5750 " + path), 0);
  ASSERT_EQ(chown(path.c_str(), static_cast<uid_t>(-1), 1001), 0);
  EXPECT_EQ(mode_of("backing/f"), 01750U);
}

TEST_P(ParityRegression, AWriteOfAStrangerTakesTheSgidBitAlsoWhereTheGroupMayNotExecute) {
  for (const mode_t mode : {02660U, 06660U}) {
    const int fd = open((temporary_ / "a/f").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ASSERT_EQ(fchmod(fd, mode), 0);
    EXPECT_EQ(in_child({.uid = 1002, .gid = 1002, .groups = {}}, [&] { return pwrite(fd, "x", 1, 0) == 1 ? 0 : errno; }), 0);
    close(fd);
    EXPECT_EQ(mode_of("backing/f"), 0660U);
  }
}

TEST_P(ParityRegression, AChangeOfNoOwnerSetsTheTimeOfChange) {
  const std::string path = temporary_ / "a/f";
  ASSERT_EQ(shell("touch " + path + " && touch -d 2001-01-01 " + path), 0);
  struct stat before{};
  struct stat after{};
  const auto same = [](const timespec& a, const timespec& b) { return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec; };
  ASSERT_EQ(stat(path.c_str(), &before), 0);
  for (int tries = 0; tries < 100'000; ++tries) {  // until a coarse clock has moved on
    ASSERT_EQ(chown(path.c_str(), static_cast<uid_t>(-1), static_cast<gid_t>(-1)), 0);
    ASSERT_EQ(stat(path.c_str(), &after), 0);
    if (!same(before.st_ctim, after.st_ctim)) break;
  }
  EXPECT_FALSE(same(before.st_ctim, after.st_ctim));
  EXPECT_TRUE(same(before.st_mtim, after.st_mtim));
}

TEST_P(ParityRegression, ARefusedChangeOfOwnerLeavesTheSuidBit) {
  ASSERT_EQ(shell("touch " + (temporary_ / "point/f") + " && chmod 4755 " + (temporary_ / "point/f")), 0);
  ASSERT_EQ(mode_of("backing/f"), 04755U);
  EXPECT_EQ(chown((temporary_ / "point/f").c_str(), 1002, static_cast<gid_t>(-1)), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(mode_of("backing/f"), 04755U);
}

}  // namespace
}  // namespace berth::parity

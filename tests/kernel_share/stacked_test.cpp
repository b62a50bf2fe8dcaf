// A share whose backing directory is itself behind FUSE, as on GlusterFS, ceph-fuse or sshfs; here behind another share.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/kernel_share/served_share.hpp"
#include "tests/support/descriptor_limit.hpp"
#include "tests/support/requirements.hpp"

namespace berth::fuse::test {
namespace {

constexpr Rights kAll{.write = true, .root_access = true};

class Stacked : public testing::Test {
 protected:
  void SetUp() override {
    BERTH_NEEDS(why_no_mounts().empty(), why_no_mounts());
    ASSERT_EQ(shell("mkdir -p " + disk_), 0);
    below_ = std::make_unique<ServedShare>(
        std::vector{Place{.spec = {.id = MountId("below/it"), .backing_directory = disk_, .rights = kAll, .passthrough = false},
                          .path = backing_}});
    ASSERT_EQ(below_->error(), "");
  }
  void serve(const std::optional<PosixUser>& identity = std::nullopt) {
    share_ = std::make_unique<ServedShare>(std::vector{Place{
        .spec = {.id = MountId("above/a"), .backing_directory = backing_, .identity = identity, .rights = kAll}, .path = a_}});
    ASSERT_EQ(share_->error(), "");
  }

  TemporaryDirectory temporary_;
  std::string disk_ = temporary_ / "disk";
  std::string backing_ = temporary_ / "backing";
  std::string a_ = temporary_ / "a";
  std::unique_ptr<ServedShare> below_, share_;  // the one above ends first
};

TEST_F(Stacked, WhatTheKernelDropsFromMemoryBelowIsFoundAgain) {
  const berth::test::DescriptorLimit limit(1024);  // fewer are kept open only to save time
  serve();
  ASSERT_EQ(shell("mkdir -p " + a_ + "/d/e && echo text > " + a_ + "/d/e/f && mkdir " + a_ + "/many"), 0);
  const UniqueFd directory(open((a_ + "/d/e").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  ASSERT_TRUE(directory);
  ASSERT_EQ(shell("cd " + a_ + "/many && for i in $(seq 400); do : > $i; done && ls -l > /dev/null"), 0);
  std::ofstream drop("/proc/sys/vm/drop_caches");
  BERTH_NEEDS(drop << 2 << std::flush, "to write /proc/sys/vm/drop_caches");
  struct stat attributes{};
  EXPECT_EQ(fstatat(directory.get(), "f", &attributes, 0), 0) << errno;
  EXPECT_EQ(attributes.st_size, 5);
}

TEST_F(Stacked, MoreFilesThanDescriptorsAreWalkedWithoutAnError) {
  BERTH_NEEDS(kernel_is_at_least(6, 18), "a kernel that can be asked to forget inodes (6.18)");
  const berth::test::DescriptorLimit limit(1024);
  ASSERT_EQ(shell("mkdir " + disk_ + "/many && cd " + disk_ + "/many && seq 5000 | xargs touch"), 0);
  serve();
  EXPECT_EQ(output_of("cd " + a_ + "/many && ls -l | wc -l"), "5001");
  EXPECT_EQ(output_of("cd " + a_ + "/many && seq 5000 | xargs stat -c %s | sort | uniq -c | tr -s ' '"), " 5000 0");
  EXPECT_EQ(shell("cd " + a_ + "/many && seq 5000 | xargs rm"), 0);
}

TEST_F(Stacked, TheFileSystemBelowSeesTheAccessPointsUserAndNotTheCallerOpenFiles) {
  serve(PosixUser{1001, 1001, {}});
  ASSERT_EQ(shell("mkdir -m 777 " + backing_ + "/d"), 0);
  const As stranger{.uid = 2002, .gid = 2002};
  EXPECT_EQ(shell("umask 077; echo text > " + a_ + "/d/f && cat " + a_ + "/d/f && echo more >> " + a_ + "/d/f", stranger), 0);
  EXPECT_EQ(output_of("stat -c '%u %a %s' " + disk_ + "/d/f"), "1001 600 10");
}

}  // namespace
}  // namespace berth::fuse::test

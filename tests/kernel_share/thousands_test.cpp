// Thousands of mounts of one daemon, and more files than it may have descriptors.
#include <sys/resource.h>
#include <sys/stat.h>

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "broker/base/log.hpp"
#include "tests/kernel_share/served_share.hpp"
#include "tests/support/descriptor_limit.hpp"
#include "tests/support/requirements.hpp"

namespace berth::fuse::test {
namespace {

std::vector<Place> places(const TemporaryDirectory& temporary, int count) {
  std::vector<Place> all;
  for (int i = 0; i < count; ++i) {
    const std::string number = std::to_string(i);
    all.push_back({.spec = {.id = MountId("task/" + number),
                            .backing_directory = temporary / "backing",
                            .rights = {.write = true, .root_access = true}},
                   .path = temporary / ("m" + number)});
  }
  return all;
}

bool descriptors_for(int mounts) {
  struct rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  return setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max > static_cast<rlim_t>(mounts) * 5 + 1000;
}

TEST(ThousandsOfMounts, ThreeThousandOfOneDaemonAllServeAndSeeEachOthersFiles) {
  constexpr int kMounts = 3000;
  BERTH_NEEDS(why_no_mounts().empty(), why_no_mounts());
  BERTH_NEEDS(descriptors_for(kMounts), "RLIMIT_NOFILE of more than 16,000");
#ifndef BERTH_FUSE_ONE_PIPE_KEY
  GTEST_SKIP() << "missing: libfuse with cmake/libfuse-one-pipe-key.patch (the system's has a limit of about 1,020 sessions)";
#endif
  const TemporaryDirectory temporary;
  ASSERT_EQ(mkdir((temporary / "backing").c_str(), 0755), 0);
  log::set_level(log::Level::warning);  // not a line for each
  ServedShare share(places(temporary, kMounts));
  log::set_level(log::Level::info);
  ASSERT_EQ(share.error(), "");
  EXPECT_EQ(share.mounts_alive(), static_cast<std::size_t>(kMounts));
  EXPECT_EQ(shell("echo from one > " + temporary / "m0/file"), 0);
  struct stat first{};
  ASSERT_EQ(stat((temporary / "m0/file").c_str(), &first), 0);
  for (int i = 1; i < kMounts; ++i) {
    struct stat seen{};
    ASSERT_EQ(stat((temporary / ("m" + std::to_string(i) + "/file")).c_str(), &seen), 0) << i;
    ASSERT_EQ(seen.st_size, first.st_size) << i;
  }
  EXPECT_EQ(shell("echo from the last >> " + temporary / "m2999/file"), 0);
  EXPECT_EQ(output_of("cat " + temporary / "m1500/file"), "from one\nfrom the last");
}

TEST(ManyFiles, TwoMountsKnowTenTimesAsManyAsTheDaemonMayHaveDescriptors) {
  BERTH_NEEDS(why_no_mounts().empty(), why_no_mounts());
  constexpr int kFiles = 3000;
  const TemporaryDirectory temporary;
  ASSERT_EQ(shell("mkdir " + temporary / "backing" + " && cd " + temporary / "backing" + " && seq 0 " +
                  std::to_string(kFiles - 1) + " | while read i; do echo $i > f$i; done"),
            0);
  std::unique_ptr<ServedShare> share;
  {
    const berth::test::DescriptorLimit limit(kFiles / 10);
    share = std::make_unique<ServedShare>(places(temporary, 2));
  }
  ASSERT_EQ(share->error(), "");
  for (const char* mount : {"m0", "m1", "m0"}) {  // the last time from inodes that are long known
    EXPECT_EQ(output_of("cd " + temporary / mount + " && find . -type f -size -2 | wc -l"), std::to_string(kFiles));
    EXPECT_EQ(output_of("cd " + temporary / mount + " && cat f* | sort -n | uniq | wc -l"), std::to_string(kFiles));
  }
}

#ifndef BERTH_FUSE_ONE_PIPE_KEY
TEST(ThousandsOfMounts, MoreThanTheSystemsLibfuseCanServeAreRefusedWithTheReason) {
  constexpr int kMounts = 1100;
  BERTH_NEEDS(why_no_mounts().empty(), why_no_mounts());
  BERTH_NEEDS(descriptors_for(kMounts), "RLIMIT_NOFILE of more than 6,500");
  const TemporaryDirectory temporary;
  ASSERT_EQ(mkdir((temporary / "backing").c_str(), 0755), 0);
  log::set_level(log::Level::warning);
  const ServedShare share(places(temporary, kMounts));
  log::set_level(log::Level::info);
  EXPECT_NE(share.error().find("thread-specific keys"), std::string::npos) << share.error();
}
#endif

}  // namespace
}  // namespace berth::fuse::test

// Ways out of a mount's root that someone on the mount, or on another one of the same file system, may try.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "fuse/mounter.hpp"
#include "tests/kernel_share/served_share.hpp"
#include "tests/support/requirements.hpp"

namespace berth::fuse::test {
namespace {

constexpr Rights kAll{.write = true, .root_access = true};

int errno_of(int result) { return result < 0 ? errno : 0; }

// /ap is the jail, /other/secret is what must stay outside; `jail` starts at the one, `whole` sees both.
class Escapes : public testing::Test {
 protected:
  void SetUp() override {
    BERTH_NEEDS(why_no_mounts().empty(), why_no_mounts());
    ASSERT_EQ(shell("mkdir -p " + backing_ + "/ap/dir " + backing_ + "/other && echo outside > " + backing_ +
                    "/other/secret && echo inside > " + backing_ + "/ap/dir/secret"),
              0);
  }
  void serve() {
    share_ = std::make_unique<ServedShare>(
        std::vector<Place>{{{.id = MountId("task/jail"), .backing_directory = backing_, .root = "/ap", .rights = kAll}, jail_},
                           {{.id = MountId("task/whole"), .backing_directory = backing_, .rights = kAll}, whole_}});
    ASSERT_EQ(share_->error(), "");
  }

  TemporaryDirectory temporary_;
  const std::string backing_ = temporary_ / "backing", jail_ = temporary_ / "jail", whole_ = temporary_ / "whole";
  std::unique_ptr<ServedShare> share_;
};

TEST_F(Escapes, ADirectoryThatIsMovedOutOfTheRootTakesNobodyAlong) {
  serve();
  EXPECT_EQ(in_child({},
                     [&] {
                       if (chdir((jail_ + "/dir").c_str()) != 0) return 1;
                       if (rename((whole_ + "/ap/dir").c_str(), (whole_ + "/other/dir").c_str()) != 0) return 2;
                       if (open("../secret", O_RDONLY) >= 0) return 3;  // what lies beside it now
                       if (open("../../other/secret", O_RDONLY) >= 0) return 4;
                       if (open("..", O_RDONLY | O_DIRECTORY) >= 0 && faccessat(AT_FDCWD, "../dir/../secret", R_OK, 0) == 0)
                         return 5;
                       return 0;
                     }),
            0);
  EXPECT_NE(shell("test -e " + jail_ + "/secret || test -e " + jail_ + "/dir"), 0);
}

// The daemon opens a name as what it was looked up as: a link in its place is never followed.
TEST_F(Escapes, ANameThatBecomesALinkWhileItIsOpenedLeadsNowhere) {
  serve();
  std::atomic<bool> done = false;
  std::thread swapper([&] {
    for (int i = 0; i < 1500; ++i) {
      rename((jail_ + "/dir").c_str(), (jail_ + "/away").c_str());
      [[maybe_unused]] int linked = symlink("../other", (jail_ + "/dir").c_str());
      unlink((jail_ + "/dir").c_str());
      rename((jail_ + "/away").c_str(), (jail_ + "/dir").c_str());
    }
    done = true;
  });
  int inside = 0, outside = 0;
  while (!done) {
    std::ifstream file(jail_ + "/dir/secret");
    std::string word;
    file >> word;
    inside += word == "inside" ? 1 : 0;
    outside += word == "outside" ? 1 : 0;
    unlink((jail_ + "/dir/made").c_str());
    const UniqueFd made(open((jail_ + "/dir/made").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
  }
  swapper.join();
  EXPECT_GT(inside, 0);
  EXPECT_EQ(outside, 0);
  EXPECT_FALSE(std::filesystem::exists(backing_ + "/other/made"));
}

// A handle of the backing file system, and nodeids that the kernel was never told, open nothing: not even for root.
TEST_F(Escapes, HandlesOpenNothingThatWasNotLookedUp) {
  serve();
  alignas(struct file_handle) std::array<unsigned char, 136> bytes{};
  auto* handle = reinterpret_cast<struct file_handle*>(bytes.data());
  handle->handle_bytes = 128;
  int mount_id = 0;
  ASSERT_EQ(name_to_handle_at(AT_FDCWD, (backing_ + "/other/secret").c_str(), handle, &mount_id, 0), 0);
  const UniqueFd mount(open(jail_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_GE(mount.get(), 0);
  EXPECT_EQ(errno_of(open_by_handle_at(mount.get(), handle, O_RDONLY)), ESTALE);
  for (std::uint32_t node = 2; node < 200; ++node) {
    handle->handle_bytes = 12;
    handle->handle_type = 0x81;  // a nodeid and its generation
    const std::array<std::uint32_t, 3> words{0, node, 0};
    std::memcpy(bytes.data() + sizeof(struct file_handle), words.data(), sizeof words);
    const UniqueFd opened(open_by_handle_at(mount.get(), handle, O_RDONLY));
    EXPECT_LT(opened.get(), 0) << node;
  }
}

TEST_F(Escapes, AFileSystemMountedInsideTheBackingDirectoryIsNoWayUp) {
  ASSERT_EQ(shell("mkdir " + backing_ + "/ap/inner"), 0);
  ASSERT_EQ(::mount("tmpfs", (backing_ + "/ap/inner").c_str(), "tmpfs", 0, nullptr), 0);
  serve();
  EXPECT_EQ(shell("echo x > " + jail_ + "/inner/file && mkdir " + jail_ + "/inner/deep"), 0);
  EXPECT_EQ(output_of("cat " + jail_ + "/inner/deep/../../dir/secret"), "inside");
  EXPECT_EQ(errno_of(link((jail_ + "/dir/secret").c_str(), (jail_ + "/inner/hard").c_str())), EXDEV);
  EXPECT_EQ(errno_of(rename((jail_ + "/inner/file").c_str(), (jail_ + "/moved").c_str())), EXDEV);
  EXPECT_NE(shell("cat " + jail_ + "/inner/../../other/secret 2>/dev/null"), 0);
  share_.reset();
  umount2((backing_ + "/ap/inner").c_str(), MNT_DETACH);
}

// Whoever may write where an access point's root is made swaps it for a link while its owner and permissions are set.
TEST_F(Escapes, ARootThatIsSwappedForALinkWhileItIsMadeChangesNothingElse) {
  const std::string victim = temporary_ / "victim", root = backing_ + "/ap/new";
  ASSERT_EQ(shell("touch " + victim + " && chmod 600 " + victim), 0);
  std::atomic<bool> done = false;
  std::thread swapper([&] {
    while (!done) {
      if (rename(root.c_str(), (backing_ + "/ap/stolen").c_str()) != 0) continue;
      [[maybe_unused]] int linked = symlink(victim.c_str(), root.c_str());
      unlink(root.c_str());
      rmdir((backing_ + "/ap/stolen").c_str());
    }
  });
  MountSpec spec{.id = MountId("task/new"), .backing_directory = backing_, .root = "/ap/new"};
  spec.creation = CreationInfo{.owner_uid = 1001, .owner_gid = 1001, .permissions = 0777};
  for (int i = 0; i < 3000; ++i) {
    [[maybe_unused]] auto made = open_root(spec);
    rmdir(root.c_str());
  }
  done = true;
  swapper.join();
  EXPECT_EQ(output_of("stat -c '%a %u' " + victim), "600 0");
}

}  // namespace
}  // namespace berth::fuse::test

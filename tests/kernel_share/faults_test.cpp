// What a program on the share sees when something under it fails: docs/SHARE.md, "Faults".
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/kernel_share/kept_share.hpp"
#include "tests/kernel_share/served_share.hpp"
#include "tests/support/descriptor_limit.hpp"
#include "tests/support/requirements.hpp"

namespace berth::fuse::test {
namespace {

using Trap = KeptShare::Trap;
constexpr Rights kAll{.write = true, .root_access = true};
constexpr std::uint32_t kMkdir = 9, kWrite = 16;

int result(bool good) { return good ? 0 : errno; }

// A share whose backing directory is a file system of its own: a small tmpfs.
class Faults : public testing::Test {
 protected:
  void SetUp() override {
    BERTH_NEEDS(why_no_mounts().empty(), why_no_mounts());
    ASSERT_EQ(::mkdir(disk_.c_str(), 0777), 0);
    ASSERT_EQ(::mount("tmpfs", disk_.c_str(), "tmpfs", 0, "size=1m"), 0);
    std::filesystem::create_directory(backing_);
  }
  void TearDown() override {
    share_.reset();
    umount2(disk_.c_str(), MNT_DETACH);
  }
  void start(Share::Options options = {}) {
    const MountSpec spec{.id = MountId("faults/data"), .backing_directory = backing_, .rights = kAll};
    share_ = std::make_unique<KeptShare>(std::vector{Place{.spec = spec, .path = at_}}, options);
    ASSERT_EQ(share_->first(), "mounted");
  }
  int make(const std::string& name) {
    return in_child({}, [&] { return result(::mkdir((at_ + "/" + name).c_str(), 0755) == 0); });
  }
  int fill(const std::string& name, std::size_t bytes) {
    return in_child({}, [&] {
      const UniqueFd file(open((at_ + "/" + name).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
      if (!file) return errno;
      const std::string text(4096, 'x');
      for (std::size_t done = 0; done < bytes; done += text.size()) {
        if (write(file.get(), text.data(), text.size()) < 0) return errno;
      }
      return 0;
    });
  }
  int read_back(const std::string& name) {
    return in_child({}, [&] {
      const UniqueFd file(open((at_ + "/" + name).c_str(), O_RDONLY | O_CLOEXEC));
      char byte = 0;
      if (!file || read(file.get(), &byte, 1) != 1) return errno;
      return byte == 'x' ? 0 : 1;
    });
  }

  TemporaryDirectory temporary_;
  std::string disk_ = temporary_ / "disk";
  std::string backing_ = disk_ + "/backing";
  std::string at_ = temporary_ / "mnt";
  std::unique_ptr<KeptShare> share_;
};

TEST_F(Faults, AFullDiskIsEnospcAndRoomThatIsMadeIsRoom) {
  for (const bool passthrough : {true, false}) {
    start({.passthrough = passthrough});
    EXPECT_EQ(fill("big", std::size_t{2} << 20U), ENOSPC);
    EXPECT_EQ(read_back("big"), 0);
    EXPECT_EQ(in_child({}, [&] { return result(unlink((at_ + "/big").c_str()) == 0); }), 0);
    // The kernel tells the daemon of a close after close(2) has returned, and till then a removed file takes room.
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    int filled = fill("small", 4096);
    while (filled == ENOSPC && std::chrono::steady_clock::now() < deadline) filled = fill("small", 4096);
    EXPECT_EQ(filled, 0);
    share_.reset();
  }
}

TEST_F(Faults, AFullDiskDuringACrashIsStillEnospc) {
  start({.passthrough = false});
  share_->set_trap(Trap::die, Moment::executed, kWrite);
  EXPECT_EQ(fill("big", std::size_t{2} << 20U), ENOSPC);
  EXPECT_EQ(share_->hear(), "recovered 1");
}

TEST_F(Faults, AnErrorOfTheDiskIsTheErrorOfTheCallAndNothingElse) {
  start({.passthrough = false});
  ASSERT_EQ(fill("f", 4096), 0);
  share_->set_trap(Trap::fail, Moment::begun, kMkdir, EIO);
  EXPECT_EQ(make("d"), EIO);
  EXPECT_EQ(make("d"), 0);
  share_->set_trap(Trap::fail, Moment::begun, kWrite, EIO);
  EXPECT_EQ(fill("f", 4096), EIO);
  EXPECT_EQ(fill("f", 4096), 0);
}

// A file that was just closed is open in the daemon for a moment yet, and keeps its disk writable.
int remount_read_only(const std::string& disk) {
  for (int tries = 0; tries < 100'000; ++tries) {
    if (::mount(nullptr, disk.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0) return 0;
    if (errno != EBUSY) break;
  }
  return errno;
}

TEST_F(Faults, AReadOnlyDiskIsErofsWhatIsThereCanBeRead) {
  start();
  ASSERT_EQ(fill("f", 4096), 0);
  ASSERT_EQ(remount_read_only(disk_), 0);
  EXPECT_EQ(make("d"), EROFS);
  EXPECT_EQ(fill("g", 4096), EROFS);
  EXPECT_EQ(fill("f", 4096), EROFS);
  EXPECT_EQ(read_back("f"), 0);
  EXPECT_EQ(share_->kill_daemon(), "recovered 1");
  EXPECT_EQ(read_back("f"), 0);
  ASSERT_EQ(::mount(nullptr, disk_.c_str(), nullptr, MS_REMOUNT, nullptr), 0);
  EXPECT_EQ(make("d"), 0);
}

TEST_F(Faults, ABackingDirectoryThatVanishedIsEnoentUntilTheMountEnds) {
  start({.cache_timeout = std::chrono::seconds(0), .watched_cache_timeout = std::chrono::seconds(0)});
  ASSERT_EQ(fill("f", 4096), 0);
  const UniqueFd open_before(open((at_ + "/f").c_str(), O_RDONLY | O_CLOEXEC));
  std::filesystem::remove_all(backing_);
  EXPECT_EQ(make("d"), ENOENT);
  EXPECT_EQ(fill("f", 4096), ENOENT);
  EXPECT_EQ(in_child({}, [&] { return result(access(at_.c_str(), F_OK) == 0); }), 0);
  EXPECT_EQ(share_->kill_daemon(), "recovered 1");
  EXPECT_EQ(make("d"), ENOENT);
  // What is open stays.
  char byte = 0;
  EXPECT_EQ(pread(open_before.get(), &byte, 1, 0), 1);
  EXPECT_EQ(byte, 'x');
}

TEST_F(Faults, ADiskThatIsUnmountedUnderTheShareIsStillThereForIt) {
  start();
  ASSERT_EQ(fill("f", 4096), 0);
  ASSERT_EQ(umount2(disk_.c_str(), MNT_DETACH), 0);
  EXPECT_EQ(read_back("f"), 0);
  EXPECT_EQ(make("d"), 0);
  EXPECT_EQ(share_->kill_daemon(), "recovered 1");
  EXPECT_EQ(read_back("f"), 0);
}

TEST_F(Faults, ADaemonWithoutDescriptorsSaysSoAndWorksOnWhenThereAreSome) {
  start({.passthrough = false});
  ASSERT_EQ(fill("f", 4096), 0);
  share_->limit_descriptors(0);
  EXPECT_EQ(in_child({}, [&] { return open((at_ + "/f").c_str(), O_RDONLY) < 0 ? errno : 0; }), EMFILE);
  EXPECT_EQ(in_child({},
                     [&] {
                       struct stat attributes{};
                       return result(stat(at_.c_str(), &attributes) == 0);
                     }),
            0);
  share_->limit_descriptors(20000);
  EXPECT_EQ(read_back("f"), 0);
}

TEST_F(Faults, OpenFilesAreNotRefusedForDescriptorsThatAreOnlyKeptToSaveTime) {
  constexpr rlim_t kLimit = 1024;
  constexpr int kOwn = 96;  // what a daemon has open without any file
  {
    const berth::test::DescriptorLimit lowered(kLimit);
    start({.passthrough = false});
  }
  for (int i = 0; i < 400; ++i) ASSERT_EQ(make(fmt::format("d{}", i)), 0);
  std::vector<UniqueFd> open_files;
  const int wanted = static_cast<int>(kLimit) - kOwn;
  while (static_cast<int>(open_files.size()) < wanted) {
    open_files.emplace_back(
        open((at_ + "/d" + std::to_string(open_files.size() % 400)).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ASSERT_TRUE(open_files.back()) << "after " << open_files.size() - 1 << ": " << strerror(errno);
  }
}

TEST_F(Faults, ADaemonWithoutMemoryForMoreInodesSaysSoAndKeepsThoseItHas) {
  start({.passthrough = false});
  ASSERT_EQ(fill("known", 4096), 0);
  share_->deny_memory(true);
  int refused = 0;
  for (int i = 0; i < 5000 && refused == 0; ++i) refused = make(fmt::format("d{}", i));
  EXPECT_EQ(refused, ENFILE);
  EXPECT_EQ(read_back("known"), 0);
  share_->deny_memory(false);
  EXPECT_EQ(make("more"), 0);
}

}  // namespace
}  // namespace berth::fuse::test

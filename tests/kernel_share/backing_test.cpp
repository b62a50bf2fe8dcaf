// Changes made in the backing directory past the share: noticed soon, by all mounts, whatever they have cached.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "fuse/backing_kind.hpp"
#include "tests/kernel_share/kept_share.hpp"
#include "tests/kernel_share/served_share.hpp"
#include "tests/support/requirements.hpp"

namespace berth::fuse::test {
namespace {

constexpr Rights kAll{.write = true, .root_access = true};

struct stat stat_of(const std::string& path) {
  struct stat attributes{};
  if (stat(path.c_str(), &attributes) != 0) attributes = {};
  return attributes;
}
off_t size_of(const std::string& path) { return stat_of(path).st_size; }
bool exists(const std::string& path) { return stat_of(path).st_nlink != 0; }

bool soon(const std::function<bool()>& holds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

// What kernels may keep without being told is short or for ever: for ever, it shows in a test that waits for ten seconds.
class Backing : public testing::Test {
 protected:
  void SetUp() override {
    BERTH_NEEDS(why_no_mounts().empty(), why_no_mounts());
    const UniqueFd directory(open(temporary_.path().c_str(), O_PATH | O_CLOEXEC));
    BERTH_NEEDS(BackingKind::of(directory.get())->reports_all_changes(), "a file system that reports changes");
    ASSERT_EQ(shell("mkdir -p " + backing_ + "/d && printf 123 > " + backing_ + "/d/f"), 0);
    serve({.cache_timeout = std::chrono::hours(1)});
  }
  Place place(const std::string& name) const {
    return {.spec = {.id = MountId("task/" + name), .backing_directory = backing_, .rights = kAll}, .path = temporary_ / name};
  }
  void serve(const Share::Options& options) {
    share_.reset();
    share_ = std::make_unique<ServedShare>(std::vector{place("a"), place("b")}, options);
    ASSERT_EQ(share_->error(), "");
  }

  TemporaryDirectory temporary_;
  std::string backing_ = temporary_ / "backing";
  std::string a_ = temporary_ / "a";
  std::string b_ = temporary_ / "b";
  std::unique_ptr<ServedShare> share_;
};

TEST_F(Backing, AFileThatWasWrittenPastTheShareHasItsNewSizeInAllMounts) {
  ASSERT_EQ(size_of(a_ + "/d/f"), 3);
  ASSERT_EQ(size_of(b_ + "/d/f"), 3);
  ASSERT_EQ(shell("printf 4567 >> " + backing_ + "/d/f"), 0);
  EXPECT_TRUE(soon([&] { return size_of(a_ + "/d/f") == 7; }));
  EXPECT_TRUE(soon([&] { return size_of(b_ + "/d/f") == 7; }));
}

TEST_F(Backing, WhatIsAppendedToAFileThatStaysOpenIsSeen) {
  const UniqueFd log(open((backing_ + "/d/f").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  for (int size = 3; size < 8; ++size) {
    EXPECT_TRUE(soon([&] { return size_of(a_ + "/d/f") == size; })) << size;
    ASSERT_EQ(write(log.get(), "x", 1), 1);
  }
}

TEST_F(Backing, ANewFileIsSeenWhereItWasMissing) {
  ASSERT_FALSE(exists(a_ + "/d/new"));
  ASSERT_FALSE(exists(b_ + "/d/new"));
  ASSERT_EQ(shell("printf 1 > " + backing_ + "/d/new"), 0);
  EXPECT_TRUE(soon([&] { return exists(a_ + "/d/new"); }));
  EXPECT_TRUE(soon([&] { return exists(b_ + "/d/new"); }));
}

TEST_F(Backing, AFileThatTookAnothersNameIsSeen) {
  ASSERT_EQ(output_of("cat " + a_ + "/d/f"), "123");
  ASSERT_EQ(shell("printf other > " + backing_ + "/g && mv " + backing_ + "/g " + backing_ + "/d/f"), 0);
  EXPECT_TRUE(soon([&] { return output_of("cat " + a_ + "/d/f") == "other"; }));
}

TEST_F(Backing, ANameThatWentIsGone) {
  ASSERT_TRUE(exists(a_ + "/d/f"));
  ASSERT_EQ(unlink((backing_ + "/d/f").c_str()), 0);
  EXPECT_TRUE(soon([&] { return !exists(a_ + "/d/f"); }));
}

TEST_F(Backing, ADirectoryThatWasMovedIsFoundWhereItIs) {
  ASSERT_EQ(shell("mkdir -p " + backing_ + "/d/deep"), 0);
  ASSERT_TRUE(soon([&] { return exists(a_ + "/d/deep"); }));
  ASSERT_EQ(rename((backing_ + "/d/deep").c_str(), (backing_ + "/moved").c_str()), 0);
  EXPECT_TRUE(soon([&] { return exists(a_ + "/moved") && !exists(a_ + "/d/deep"); }));
  ASSERT_EQ(shell("touch " + backing_ + "/moved/f"), 0);
  EXPECT_TRUE(soon([&] { return exists(a_ + "/moved/f"); }));
}

TEST_F(Backing, AModeAndATimeThatWereChangedAreSeen) {
  ASSERT_EQ(stat_of(a_ + "/d").st_mode & 0777, 0755U);
  ASSERT_EQ(chmod((backing_ + "/d").c_str(), 0700), 0);
  EXPECT_TRUE(soon([&] { return (stat_of(a_ + "/d").st_mode & 0777) == 0700; }));
  const auto before = stat_of(a_ + "/d/f").st_mtim.tv_sec;
  ASSERT_EQ(shell("touch -d @1 " + backing_ + "/d/f"), 0);
  EXPECT_NE(before, 1);
  EXPECT_TRUE(soon([&] { return stat_of(a_ + "/d/f").st_mtim.tv_sec == 1; }));
}

TEST_F(Backing, ADirectoryMadeThroughTheShareIsWatchedAtOnce) {
  ASSERT_EQ(mkdir((a_ + "/fresh").c_str(), 0755), 0);
  ASSERT_FALSE(exists(a_ + "/fresh/f"));
  ASSERT_EQ(shell("touch " + backing_ + "/fresh/f"), 0);
  EXPECT_TRUE(soon([&] { return exists(a_ + "/fresh/f"); }));
}

TEST_F(Backing, ASecondNameOfAFileIsCounted) {
  const UniqueFd file(open((a_ + "/d/f").c_str(), O_RDONLY | O_CLOEXEC));
  const auto links = [&] {
    struct stat attributes{};
    return fstat(file.get(), &attributes) == 0 ? attributes.st_nlink : 99;
  };
  ASSERT_EQ(links(), 1U);
  ASSERT_EQ(link((backing_ + "/d/f").c_str(), (backing_ + "/second").c_str()), 0);
  EXPECT_TRUE(soon([&] { return links() == 2; }));
}

TEST_F(Backing, AFileIsSeenThatAProgramOfATaskHasOpenForWritingToo) {
  serve({.cache_timeout = std::chrono::milliseconds(100)});  // such a file is asked for again now and then
  const UniqueFd file(open((a_ + "/d/f").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  ASSERT_EQ(write(file.get(), "4", 1), 1);
  ASSERT_EQ(shell("printf 5 >> " + backing_ + "/d/f"), 0);
  EXPECT_TRUE(soon([&] { return size_of(a_ + "/d/f") == 5; }));
  ASSERT_EQ(write(file.get(), "6", 1), 1);
  ASSERT_EQ(shell("printf 7 >> " + backing_ + "/d/f"), 0);
  EXPECT_TRUE(soon([&] { return size_of(a_ + "/d/f") == 7; }));
}

// It is not listened to while it is written through the share; after that it must be again.
TEST_F(Backing, AFileThatATaskHasWrittenIsListenedToAgain) {
  {
    const UniqueFd file(open((a_ + "/d/f").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
    for (int i = 0; i < 5; ++i) {
      ASSERT_EQ(write(file.get(), "x", 1), 1);
      std::this_thread::sleep_for(std::chrono::milliseconds(30));  // for the reader of events to have seen it
    }
  }
  ASSERT_EQ(size_of(a_ + "/d/f"), 8);
  for (int size = 9; size < 12; ++size) {
    ASSERT_EQ(shell("printf 5 >> " + backing_ + "/d/f"), 0);
    EXPECT_TRUE(soon([&] { return size_of(a_ + "/d/f") == size; })) << size;
  }
}

TEST_F(Backing, TheFileSystemCanBeUnmountedOnceItsMountsAreGone) {
  const std::string disk = temporary_ / "disk";
  ASSERT_EQ(shell("mkdir " + disk + " && mount -t tmpfs tmpfs " + disk + " && mkdir -p " + disk + "/x/y"), 0);
  share_.reset();
  Place on_disk = place("c");
  on_disk.spec.backing_directory = disk;
  ServedShare share({place("a"), on_disk}, {});
  ASSERT_EQ(share.error(), "");
  ASSERT_TRUE(exists(on_disk.path + "/x/y"));
  share.detach(on_disk.spec.id);
  EXPECT_TRUE(soon([&] { return shell("umount " + disk + " 2>/dev/null") == 0; }));
}

TEST_F(Backing, AfterTheDaemonWasKilledChangesAreSeenAsBefore) {
  share_.reset();
  KeptShare kept({place("a"), place("b")}, {.cache_timeout = std::chrono::hours(1)});
  ASSERT_EQ(kept.first(), "mounted");
  ASSERT_EQ(mkdir((a_ + "/e").c_str(), 0755), 0);
  ASSERT_EQ(size_of(a_ + "/d/f"), 3);
  for (int kill = 0; kill < 3; ++kill) {
    const off_t size = size_of(a_ + "/d/f");
    ASSERT_EQ(kept.kill_daemon(), "recovered 2");
    ASSERT_EQ(shell("printf 4 >> " + backing_ + "/d/f"), 0);
    EXPECT_TRUE(soon([&] { return size_of(a_ + "/d/f") == size + 1; }));
    EXPECT_TRUE(soon([&] { return size_of(b_ + "/d/f") == size + 1; }));
    const std::string name = "/e/" + std::to_string(kill);
    ASSERT_FALSE(exists(a_ + name));
    ASSERT_EQ(shell("touch " + backing_ + name), 0);
    EXPECT_TRUE(soon([&] { return exists(a_ + name); }));
  }
}

// Which of the changes fall between a daemon's death and its successor's taking over is chance; that some do is not. Of files
// that are open, as all others are looked up anew.
TEST_F(Backing, AFileThatIsWrittenWhileTheDaemonIsBeingReplacedHasItsNewSize) {
  share_.reset();
  constexpr int kFiles = 400;
  const auto path = [](const std::string& top, int file) { return fmt::format("{}/d/{}", top, file); };
  ASSERT_EQ(shell(fmt::format("cd {}/d && for i in $(seq 0 {}); do : > $i; done", backing_, kFiles)), 0);
  KeptShare kept({place("a"), place("b")}, {.cache_timeout = std::chrono::hours(1)});
  ASSERT_EQ(kept.first(), "mounted");
  std::vector<UniqueFd> files;
  for (const std::string& mount : {a_, b_}) {
    for (int file = 0; file < kFiles; ++file) files.emplace_back(open(path(mount, file).c_str(), O_PATH | O_CLOEXEC));
  }
  const auto unchanged = [&] {
    return std::ranges::count_if(files, [](const UniqueFd& file) {
      struct stat attributes{};
      return fstat(file.get(), &attributes) == 0 && attributes.st_size == 0;
    });
  };
  ASSERT_EQ(unchanged(), 2 * kFiles);
  std::atomic<int> changed = 0;
  std::atomic<bool> replaced = false;
  std::thread past([&] {
    for (int file = 0; file < kFiles; ++file) {
      const UniqueFd opened(open(path(backing_, file).c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
      changed += opened && write(opened.get(), "x", 1) == 1 ? 1 : 0;
      if (!replaced && changed > kFiles / 4) std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
  });
  while (changed < kFiles / 4) std::this_thread::yield();
  EXPECT_EQ(kept.kill_daemon(), "recovered 2");
  replaced = true;
  past.join();
  ASSERT_EQ(changed, kFiles);
  EXPECT_TRUE(soon([&] { return unchanged() == 0; })) << unchanged();
}

}  // namespace
}  // namespace berth::fuse::test

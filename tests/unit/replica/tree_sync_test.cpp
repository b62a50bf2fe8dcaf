#include "fuse/replica/tree_sync.hpp"

#include <sys/mman.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include <linux/magic.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <random>
#include <stop_token>
#include <thread>

#include "tests/unit/replica/trees.hpp"

namespace berth::fuse::replica {
namespace {

class TreeSync : public Trees {
 protected:
  TreeSync() {
    if (::geteuid() != 0) skip = "owners and special files are root's to make";
  }
  void SetUp() override {
    if (!skip.empty()) GTEST_SKIP() << skip;
  }
  std::string skip;
};

TEST_F(TreeSync, TakesOverAllThatATreeIsMadeOf) {
  write(source("a/b/file"), "text");
  write(source("a/empty"), "");
  write(source("name with\nlines"), "x");
  fs::create_directories(source("nothing/in/here"));
  ASSERT_EQ(::chown(source("a/b/file").c_str(), 1000, 1001), 0);
  ASSERT_EQ(::chmod(source("a/b/file").c_str(), 06751), 0);
  ASSERT_EQ(::chown(source("a/b").c_str(), 7, 8), 0);
  ASSERT_EQ(::chmod(source("a/b").c_str(), 01777), 0);
  fs::create_symlink("/etc/passwd", source("a/absolute"));
  fs::create_symlink("nowhere", source("dangling"));
  ASSERT_EQ(::lchown(source("dangling").c_str(), 5, 6), 0);
  fs::create_hard_link(source("a/b/file"), source("second name"));
  fs::create_hard_link(source("a/b/file"), source("nothing/third name"));
  ASSERT_EQ(::mkfifo(source("fifo").c_str(), 0622), 0);
  ASSERT_EQ(::mknod(source("socket").c_str(), S_IFSOCK | 0600, 0), 0);
  for (const auto* path : {"a/b/file", "a/empty", "dangling", "fifo", "a/b", "a", "."})
    set_time(source(path), 1'000'000'000, 123456789);
  must_sync();
  EXPECT_EQ(status(destination("second name")).st_ino, status(destination("a/b/file")).st_ino);
  EXPECT_EQ(status(destination("a/b/file")).st_mode & 07777U, 06751U);
  EXPECT_EQ(progress->files, 3U) << "one file with three names is copied once";
}

TEST_F(TreeSync, HolesStayHoles) {
  constexpr off_t kSize = 3L << 30;
  const UniqueFd file(::open(source("sparse").c_str(), O_WRONLY | O_CREAT, 0644));
  ASSERT_EQ(::pwrite(file.get(), "begin", 5, 1 << 20), 5);
  ASSERT_EQ(::pwrite(file.get(), "middle", 6, kSize / 2), 6);
  ASSERT_EQ(::ftruncate(file.get(), kSize), 0);
  const auto report = sync();
  ASSERT_TRUE(report && report->complete());
  const auto copy = status(destination("sparse"));
  EXPECT_EQ(copy.st_size, kSize);
  EXPECT_LT(copy.st_blocks * 512, 1 << 20);
  EXPECT_LT(progress->bytes, 1U << 20);
  std::ifstream in(destination("sparse"), std::ios::binary);
  std::string text(6, '\0');
  in.seekg(kSize / 2);
  in.read(text.data(), 6);
  EXPECT_EQ(text, "middle");
}

TEST_F(TreeSync, WhatTheSourceHasNotGoesHoweverDeepItIs) {
  write(source("stays"), "s");
  write(destination("goes"), "g");
  fs::create_symlink(base + "/outside", destination("link"));
  write(base + "/outside/precious", "p");
  std::string deep = destination("d");
  for (int level = 0; level < 300; ++level) deep += "/level-" + std::to_string(level);
  fs::create_directories(fs::path(deep).parent_path());
  write(deep, "bottom");
  must_sync();
  EXPECT_EQ(read(base + "/outside/precious"), "p");
}

TEST_F(TreeSync, EveryKindTakesThePlaceOfEveryOther) {
  const auto put = [](const std::string& path, int kind) {
    if (kind == 0) write(path, "file");
    if (kind == 1) write(path + "/inside", "directory");
    if (kind == 2) fs::create_symlink("target", path);
    if (kind == 3) {
      EXPECT_EQ(::mkfifo(path.c_str(), 0600), 0);
    }
  };
  for (int from = 0; from < 4; ++from) {
    for (int to = 0; to < 4; ++to) {
      const auto name = fmt::format("{}-to-{}", from, to);
      put(destination(name), from);
      put(source(name), to);
    }
  }
  must_sync();
}

TEST_F(TreeSync, LinksAreNotFollowedOnEitherSide) {
  write(base + "/outside/file", "untouched");
  write(source("a/file"), "new");
  fs::create_directory_symlink(base + "/outside", destination("a"));
  fs::create_directory_symlink(base + "/outside", source("way out"));
  fs::create_symlink(base + "/outside/file", destination("b"));
  write(source("b"), "mine");
  must_sync();
  EXPECT_EQ(read(base + "/outside/file"), "untouched");
  EXPECT_TRUE(fs::is_symlink(destination("way out")));
}

TEST_F(TreeSync, WhatHasNotChangedIsNotReadAgain) {
  write(source("a/file"), std::string(100'000, 'x'));
  must_sync();
  const auto inode = status(destination("a/file")).st_ino;
  must_sync(much_later());
  EXPECT_EQ(progress->files, 0U);
  EXPECT_EQ(progress->bytes, 0U);
  EXPECT_EQ(status(destination("a/file")).st_ino, inode);
  ASSERT_EQ(::chmod(source("a/file").c_str(), 0600), 0);
  must_sync(much_later());
  EXPECT_EQ(progress->files, 0U) << "a mode is set without copying";
}

TEST_F(TreeSync, AnEqualFileThatIsThereAlreadyStays) {
  write(source("file"), "same");
  write(destination("file"), "same");
  write(destination("other"), "SAME");
  write(source("other"), "same");
  for (const auto& path : {source("file"), source("other"), destination("file"), destination("other")}) set_time(path, 1'000'000);
  const auto inode = status(destination("file")).st_ino;
  must_sync();
  EXPECT_EQ(status(destination("file")).st_ino, inode);
  EXPECT_EQ(progress->files, 1U);
}

TEST_F(TreeSync, AChangeThatHidesItsSizeAndTimeIsSeen) {
  write(source("file"), "before");
  set_time(source("file"), 1'000'000);
  const auto began = std::chrono::time_point_cast<TimePoint::duration>(std::chrono::system_clock::now());
  must_sync();
  write(source("file"), "behind");
  set_time(source("file"), 1'000'000);
  must_sync(began);
  EXPECT_EQ(read(destination("file")), "behind");
}

TEST_F(TreeSync, ADirectoryThatTookAnothersPlaceBringsItsOwnFiles) {
  for (const auto* name : {"now", "next"}) {
    write(source(name) + "/sub/file", name == std::string("now") ? "old text" : "new text");
    set_time(source(name) + "/sub/file", 1'000'000);
  }
  must_sync();
  fs::rename(source("now"), source("before"));
  fs::rename(source("next"), source("now"));
  must_sync(much_later());
  EXPECT_EQ(read(destination("now/sub/file")), "new text") << "same name, size and time, and no change time to tell";
}

TEST_F(TreeSync, NamesThatPartedInTheSourcePartInTheCopy) {
  write(source("a"), "text");
  fs::create_hard_link(source("a"), source("b"));
  fs::create_hard_link(source("a"), source("c"));
  must_sync();
  fs::remove(source("b"));
  write(source("b"), "text");
  const auto time = status(source("a")).st_mtim;
  set_time(source("b"), time.tv_sec, time.tv_nsec);
  must_sync(much_later());
  fs::remove(source("c"));
  fs::create_hard_link(source("b"), source("c"));
  must_sync(much_later());
  EXPECT_EQ(status(destination("c")).st_ino, status(destination("b")).st_ino);
}

TEST_F(TreeSync, PathsMayBeLongerThanPathMax) {
  UniqueFd at(::open(source().c_str(), O_RDONLY | O_DIRECTORY));
  const std::string name(200, 'n');
  for (int level = 0; level < 40; ++level) {
    ASSERT_EQ(::mkdirat(at.get(), name.c_str(), 0755), 0);
    at.reset(::openat(at.get(), name.c_str(), O_RDONLY | O_DIRECTORY));
  }
  ASSERT_TRUE(UniqueFd(::openat(at.get(), "bottom", O_WRONLY | O_CREAT | O_CLOEXEC, 0644)));
  for (const auto* second : {"first", "twin"}) ASSERT_EQ(::linkat(at.get(), "bottom", at.get(), second, 0), 0);
  const auto report = sync();
  ASSERT_TRUE(report && report->complete());
  UniqueFd copy(::open(destination().c_str(), O_RDONLY | O_DIRECTORY));
  for (int level = 0; level < 40; ++level) copy.reset(::openat(copy.get(), name.c_str(), O_RDONLY | O_DIRECTORY));
  struct stat bottom{};
  ASSERT_EQ(::fstatat(copy.get(), "bottom", &bottom, 0), 0);
  EXPECT_EQ(bottom.st_nlink, 3U);
}

TEST_F(TreeSync, AStoreIntoAMappingIsSeenThoughItsPageWasDirtyBefore) {
  struct statfs kind{};
  ASSERT_EQ(::statfs(source().c_str(), &kind), 0);
  if (kind.f_type == TMPFS_MAGIC) GTEST_SKIP() << "tmpfs never notes the times of stores into mappings";
  write(source("mapped"), std::string(4096, '.'));
  const UniqueFd file(::open(source("mapped").c_str(), O_RDWR));
  auto* page = static_cast<char*>(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0));
  ASSERT_NE(page, MAP_FAILED);
  page[0] = '1';
  // The pass reads, and what it reads of is settled for the next one.
  ASSERT_TRUE(sync());
  EXPECT_EQ(read(destination("mapped")).front(), '1');
  const auto before = status(source("mapped")).st_ctim;
  // Times tick coarsely: the store shall come in a later tick.
  timespec now{};
  do ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
  while (now.tv_sec == before.tv_sec && now.tv_nsec == before.tv_nsec);
  page[0] = '2';
  const TimePoint just_after{std::chrono::duration_cast<TimePoint::duration>(std::chrono::seconds(before.tv_sec + 5) +
                                                                             std::chrono::nanoseconds(before.tv_nsec + 1000))};
  ASSERT_TRUE(sync(just_after));
  EXPECT_EQ(read(destination("mapped")).front(), '2');
  ::munmap(page, 4096);
}

TEST_F(TreeSync, AStoppedPassIsNotCompleteAndTheNextOneGoesOn) {
  for (int i = 0; i < 50; ++i) write(source(fmt::format("d{}/file", i)), "text");
  Progress stopped;
  stopped.stop = true;
  const auto report = sync_tree({source(), destination(), base + "/staging", std::nullopt}, stopped);
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->stopped);
  EXPECT_FALSE(report->complete());
  must_sync();
}

TEST_F(TreeSync, AnEmptyDirectoryInTheSourcesPlaceDoesNotEmptyTheCopy) {
  write(source("precious"), "p");
  must_sync();
  fs::rename(base + "/source", base + "/unmounted");
  fs::create_directory(base + "/source");
  const auto report = sync(much_later());
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, Code::failed_precondition);
  EXPECT_EQ(read(destination("precious")), "p");
}

TEST_F(TreeSync, TreesThatWereMovedToAnotherDiskGoOn) {
  write(source("a/file"), "text");
  must_sync();
  for (const std::string tree : {"/source", "/destination"}) {
    ASSERT_EQ(std::system(("cp -a " + base + tree + " " + base + tree + "-copy").c_str()), 0);
    fs::remove_all(base + tree);
    fs::rename(base + tree + "-copy", base + tree);
  }
  write(source("a/file"), "more");
  must_sync(much_later());
  EXPECT_EQ(read(destination("a/file")), "more");
}

TEST_F(TreeSync, ADirectoryThatIsMissingIsNamed) {
  fs::remove_all(destination());
  const auto report = sync();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, Code::not_found);
  EXPECT_NE(report.error().message.find("/destination`"), std::string::npos) << report.error().message;
}

TEST_F(TreeSync, AMountInsideTheSourceIsNotEnteredAndIsNamed) {
  write(source("a/before"), "mine");
  fs::create_directory(source("mounted"));
  EXPECT_TRUE(in_own_mounts([&] {
    if (::mount("tmpfs", source("mounted").c_str(), "tmpfs", 0, nullptr) != 0) return false;
    write(source("mounted/secret"), "s");
    const auto report = sync();
    return report && report->problems == 1 && report->first_problems.front().starts_with("`mounted`: another file system") &&
           read(destination("a/before")) == "mine";
  }));
  EXPECT_TRUE(fs::is_empty(destination("mounted")));
}

TEST_F(TreeSync, AFullDiskIsSaidAndWhatIsThereStays) {
  EXPECT_TRUE(in_own_mounts([&] {
    const auto small = base + "/small";
    fs::create_directory(small);
    if (::mount("tmpfs", small.c_str(), "tmpfs", 0, "size=1m") != 0) return false;
    fs::create_directory(small + "/destination");
    write(source("file"), std::string(700'000, 'a'));
    const Sync sync{base + "/source", small + "/destination", small + "/staging", std::nullopt};
    Progress first, second, third;
    if (!sync_tree(sync, first)) return false;
    write(source("file"), std::string(800'000, 'b'));
    const auto full = sync_tree(sync, second);
    if (full || full.error().errno_value != ENOSPC || read(small + "/destination/file") != std::string(700'000, 'a'))
      return false;
    write(source("file"), "short");
    const auto report = sync_tree(sync, third);
    return report && report->complete() && read(small + "/destination/file") == "short";
  }));
}

// An attacker on the source: a directory that is now one, now a link out.
TEST_F(TreeSync, ALinkThatIsSwappedInLeadsNowhere) {
  write(base + "/outside/file", "secret");
  write(source("d/file"), "public");
  fs::create_directory_symlink(base + "/outside", source("l"));
  const std::jthread attacker([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) ::renameat2(AT_FDCWD, source("d").c_str(), AT_FDCWD, source("l").c_str(), RENAME_EXCHANGE);
  });
  for (int pass = 0; pass < 300; ++pass) {
    ASSERT_TRUE(sync(much_later()));
    for (const auto& entry : fs::recursive_directory_iterator(destination())) {
      if (!entry.is_regular_file()) continue;
      ASSERT_EQ(read(entry.path()), "public") << entry.path();
    }
  }
  EXPECT_EQ(read(base + "/outside/file"), "secret");
}

// What a reader may find: a file as it was before or as it is now, never a part.
TEST_F(TreeSync, KilledAtAnyMomentItLeavesWholeFilesAndTheNextPassFinishes) {
  std::mt19937 random(7);
  const auto fill = [&](char with) {
    for (int i = 0; i < 40; ++i) write(source(fmt::format("d{}/file{}", i % 5, i)), std::string(50'000, with));
  };
  fill('0');
  must_sync();
  for (char round = '1'; round <= '9'; ++round) {
    fill(round);
    write(source(fmt::format("round-{}", round)), "new");
    const pid_t child = ::fork();
    if (child == 0) {
      Progress own;
      const auto report = sync_tree({source(), destination(), base + "/staging", std::nullopt}, own);
      ::_exit(report ? 0 : 1);
    }
    ::usleep(std::uniform_int_distribution<useconds_t>(0, 8000)(random));
    ::kill(child, SIGKILL);
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
    for (const auto& entry : fs::recursive_directory_iterator(destination())) {
      if (!entry.is_regular_file() || entry.path().filename().string().starts_with("round")) continue;
      const auto text = read(entry.path());
      ASSERT_EQ(text.size(), 50'000U);
      ASSERT_EQ(text.find_first_not_of(text.front()), std::string::npos) << entry.path();
    }
  }
  must_sync();
}

TEST_F(TreeSync, PassesOverATreeThatChangesEndWithWhatItIsAtTheEnd) {
  std::atomic<bool> done{false};
  std::jthread changer([&] {
    std::mt19937 random(11);
    for (int i = 0; i < 4000; ++i) {
      const auto a = source(fmt::format("d{}/f{}", random() % 6, random() % 30)),
                 b = source(fmt::format("d{}/f{}", random() % 6, random() % 30));
      std::error_code ignored;
      switch (random() % 7) {
        case 0: fs::remove_all(a, ignored); break;
        case 1: fs::rename(a, b, ignored); break;
        case 2: fs::create_hard_link(a, b, ignored); break;
        case 3: fs::create_directory(a, ignored); break;
        case 4: fs::create_symlink("x", a, ignored); break;
        case 5: fs::rename(fs::path(a).parent_path(), fs::path(b).parent_path(), ignored); break;
        default: fs::create_directories(fs::path(a).parent_path(), ignored); std::ofstream(a, std::ios::app) << i;
      }
    }
    done = true;
  });
  std::optional<TimePoint> since;
  int passes = 0;
  while (!done) {
    const auto began = std::chrono::time_point_cast<TimePoint::duration>(std::chrono::system_clock::now());
    const auto report = sync(since);
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->problems, 0U) << report->first_problems.front();
    since = began;
    ++passes;
  }
  changer.join();
  must_sync(since);
  EXPECT_GT(passes, 1);
}

}  // namespace
}  // namespace berth::fuse::replica

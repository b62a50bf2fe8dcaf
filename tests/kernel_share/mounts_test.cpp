// Several mounts of one file system, and a mount's end.
#include <dirent.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <future>

#include "tests/kernel_share/held_requests.hpp"
#include "tests/kernel_share/served_share.hpp"
#include "tests/support/requirements.hpp"

namespace berth::fuse::test {
namespace {

constexpr std::uint32_t kLookup = 1, kGetattr = 3;  // <linux/fuse.h>
constexpr Rights kAll{.write = true, .root_access = true};

class TwoMounts : public testing::Test {
 protected:
  void SetUp() override {
    BERTH_NEEDS(why_no_mounts().empty(), why_no_mounts());
    backing_ = temporary_ / "backing";
    a_ = temporary_ / "a";
    b_ = temporary_ / "b";
    ASSERT_EQ(shell("mkdir " + backing_), 0);
    // A cache that would show for an hour if it were not coherent.
    serve({.cache_timeout = std::chrono::hours(1)});
  }
  void serve(const Share::Options& options) {
    share_.reset();
    const auto place = [&](const std::string& name) {
      return Place{.spec = {.id = MountId("task/" + name), .backing_directory = backing_, .rights = kAll},
                   .path = temporary_ / name};
    };
    share_ = std::make_unique<ServedShare>(std::vector{place("a"), place("b")}, options);
    ASSERT_EQ(share_->error(), "");
  }

  TemporaryDirectory temporary_;
  std::string backing_;
  std::string a_;
  std::string b_;
  std::unique_ptr<ServedShare> share_;
};

int errno_of(int result) { return result < 0 ? errno : 0; }
off_t size_of(const std::string& path) {
  struct stat attributes{};
  return stat(path.c_str(), &attributes) == 0 ? attributes.st_size : -1;
}
bool exists(const std::string& path) {
  struct stat attributes{};
  return stat(path.c_str(), &attributes) == 0;
}
int status_of(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

TEST_F(TwoMounts, SeeEachOthersChangesAtOnce) {
  EXPECT_FALSE(exists(b_ + "/f"));  // a negative answer must not stay
  ASSERT_EQ(shell("printf 123 > " + a_ + "/f"), 0);
  EXPECT_EQ(size_of(b_ + "/f"), 3);
  ASSERT_EQ(shell("printf 4567 >> " + a_ + "/f"), 0);
  EXPECT_EQ(size_of(b_ + "/f"), 7);
  ASSERT_EQ(shell("printf new > " + a_ + "/g && mv " + a_ + "/g " + a_ + "/f"), 0);
  EXPECT_EQ(output_of("cat " + b_ + "/f"), "new");
  ASSERT_EQ(chmod((b_ + "/f").c_str(), 0600), 0);
  EXPECT_EQ(output_of("stat -c %a " + a_ + "/f"), "600");
  ASSERT_EQ(unlink((b_ + "/f").c_str()), 0);
  EXPECT_FALSE(exists(a_ + "/f"));
}

TEST_F(TwoMounts, WhatOneHadCachedAloneIsRevokedWhenTheOtherComes) {
  ASSERT_EQ(shell("mkdir -p " + a_ + "/deep/er && printf 1 > " + a_ + "/deep/er/f"), 0);
  EXPECT_EQ(size_of(a_ + "/deep/er/f"), 1);
  EXPECT_FALSE(exists(a_ + "/deep/er/g"));
  EXPECT_EQ(shell("cd " + b_ + "/deep/er && printf 22 > f && printf 333 > g"), 0);
  EXPECT_EQ(size_of(a_ + "/deep/er/f"), 2);
  EXPECT_EQ(size_of(a_ + "/deep/er/g"), 3);
  EXPECT_EQ(shell("mv " + b_ + "/deep/er " + b_ + "/moved"), 0);
  EXPECT_FALSE(exists(a_ + "/deep/er"));
  EXPECT_EQ(size_of(a_ + "/moved/f"), 2);
}

std::set<std::string> rest_of(DIR* directory) {
  std::set<std::string> names;
  while (const dirent* entry = readdir(directory)) names.insert(entry->d_name);
  return names;
}

std::set<std::string> names_in(const std::string& path) {
  DIR* directory = opendir(path.c_str());
  if (directory == nullptr) return {};
  auto names = rest_of(directory);
  closedir(directory);
  return names;
}

// Whether the kernel keeps lists, which the share allows it where it can tell when they are old.
bool lists_are_kept(const std::string& backing) {
  struct statx known{};
  struct statfs kind{};
  return kernel_is_at_least(6, 16) && statfs(backing.c_str(), &kind) == 0 &&
         (kind.f_type == 0xEF53 || kind.f_type == 0x01021994) && statx(AT_FDCWD, backing.c_str(), 0, STATX_BTIME, &known) == 0 &&
         (known.stx_mask & STATX_BTIME) != 0;
}

// The kernel keeps lists of directories; each of these was in one of them.
TEST_F(TwoMounts, AListNeverShowsWhatWasBeforeAnothersChange) {
  ASSERT_EQ(mkdir((a_ + "/d").c_str(), 0755), 0);
  std::set<std::string> there{".", "..", "last"};
  ASSERT_EQ(shell("touch " + a_ + "/d/last"), 0);
  DIR* open = opendir((b_ + "/d").c_str());
  ASSERT_NE(open, nullptr);
  for (int i = 0; i < 200; ++i) {
    // Twice: the second one may come from the kernel's own.
    EXPECT_EQ(names_in(b_ + "/d"), there);
    EXPECT_EQ(names_in(b_ + "/d"), there);
    const std::string name = "n" + std::to_string(i);
    switch (i % 4) {
      case 0: EXPECT_EQ(mknod((a_ + "/d/" + name).c_str(), S_IFREG | 0644, 0), 0); break;
      case 1: EXPECT_EQ(mkdir((a_ + "/d/" + name).c_str(), 0755), 0); break;
      case 2: {
        const std::string before = "n" + std::to_string(i - 2);
        EXPECT_EQ(rename((a_ + "/d/" + before).c_str(), (a_ + "/d/" + name).c_str()), 0);
        there.erase(before);
        break;
      }
      default: {
        const std::string before = "n" + std::to_string(i - 2);
        EXPECT_EQ(rmdir((b_ + "/d/" + before).c_str()), 0);
        there.erase(before);
        EXPECT_EQ(names_in(a_ + "/d"), there);
        EXPECT_EQ(mknod((b_ + "/d/" + name).c_str(), S_IFREG | 0644, 0), 0);
      }
    }
    there.insert(name);
    rewinddir(open);
    EXPECT_EQ(rest_of(open), there);
    EXPECT_EQ(names_in(a_ + "/d"), there);
  }
  closedir(open);
}

TEST_F(TwoMounts, ListsThatAreReadWhileTheOtherChangesNamesDoNotStay) {
  ASSERT_EQ(shell("mkdir " + a_ + "/d && cd " + a_ + "/d && touch $(seq 300)"), 0);
  std::atomic<bool> enough = false;
  std::vector<std::jthread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      while (!enough) names_in(b_ + "/d");
    });
  }
  for (int i = 0; i < 300; ++i) {
    const std::string name = "x" + std::to_string(i);
    EXPECT_EQ(mknod((a_ + "/d/" + name).c_str(), S_IFREG | 0644, 0), 0);
    EXPECT_TRUE(names_in(b_ + "/d").contains(name)) << name;
    EXPECT_EQ(unlink((a_ + "/d/" + name).c_str()), 0);
    EXPECT_FALSE(names_in(b_ + "/d").contains(name)) << name;
  }
  enough = true;
}

// A page of memory that whoever touches it first waits for (userfaultfd(2)).
class AwaitedPage {
 public:
  AwaitedPage() {
    faults_.reset(static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC)));
    struct uffdio_api api{UFFD_API, 0, 0};
    if (!faults_ || ioctl(faults_.get(), UFFDIO_API, &api) != 0) return;
    at_ = mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct uffdio_register whole{{address(), kSize}, UFFDIO_REGISTER_MODE_MISSING, 0};
    if (ioctl(faults_.get(), UFFDIO_REGISTER, &whole) != 0) faults_.reset();
  }
  AwaitedPage(const AwaitedPage&) = delete;
  AwaitedPage& operator=(const AwaitedPage&) = delete;
  ~AwaitedPage() { munmap(at_, kSize); }

  static constexpr std::size_t kSize = 4096;
  bool works() const { return static_cast<bool>(faults_); }
  void* at() const { return at_; }
  // Until somebody touches it.
  void await_touch() const {
    struct uffd_msg touched{};
    EXPECT_EQ(read(faults_.get(), &touched, sizeof(touched)), static_cast<ssize_t>(sizeof(touched)));
  }
  void give() const {
    struct uffdio_zeropage whole{{address(), kSize}, 0, 0};
    EXPECT_EQ(ioctl(faults_.get(), UFFDIO_ZEROPAGE, &whole), 0);
  }

 private:
  std::uint64_t address() const { return reinterpret_cast<std::uintptr_t>(at_); }
  UniqueFd faults_;
  void* at_ = MAP_FAILED;
};

// The kernel enters names of a list in its cache while it copies them, which may take as long as the reader likes.
TEST_F(TwoMounts, ANameThatIsRemovedWhileItsListIsBeingTakenInDoesNotStay) {
  serve({.cache_timeout = std::chrono::hours(1), .watch = false});  // else it would be heard of once more
  ASSERT_EQ(shell("mkdir " + a_ + "/d && touch " + a_ + "/d/removed"), 0);
  for (int i = 0; i < 300; ++i) EXPECT_FALSE(exists(b_ + "/d/missing" + std::to_string(i)));  // more than is known one by one
  const AwaitedPage page;
  BERTH_NEEDS(page.works(), "userfaultfd");
  const UniqueFd directory(open((b_ + "/d").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  std::jthread reader([&] { EXPECT_GT(syscall(SYS_getdents64, directory.get(), page.at(), AwaitedPage::kSize), 0); });
  page.await_touch();
  EXPECT_EQ(unlink((a_ + "/d/removed").c_str()), 0);
  page.give();
  reader.join();
  // A directory that is reached by its name is looked up anew, and all below it: one that is open is not. The name goes as soon
  // as the directory is free.
  struct stat attributes{};
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (fstatat(directory.get(), "removed", &attributes, 0) == 0 && std::chrono::steady_clock::now() < deadline) sched_yield();
  EXPECT_NE(fstatat(directory.get(), "removed", &attributes, 0), 0);
}

TEST_F(TwoMounts, ADirectoryThatIsClosedWhileItsListIsBeingTakenInShowsNothingAfterwards) {
  const Place open_to_all{.spec = {.id = MountId("task/a"), .backing_directory = backing_, .rights = kAll}, .path = a_};
  Place point{.spec = {.id = MountId("task/b"), .backing_directory = backing_, .rights = kAll}, .path = b_};
  point.spec.identity = PosixUser{.uid = 1000, .gid = 1000, .secondary_gids = {}};
  share_.reset();
  share_ = std::make_unique<ServedShare>(std::vector{open_to_all, point},
                                         Share::Options{.cache_timeout = std::chrono::hours(1), .watch = false});
  ASSERT_EQ(share_->error(), "");
  ASSERT_EQ(shell("mkdir " + a_ + "/d && touch " + a_ + "/d/hidden"), 0);
  const AwaitedPage page;
  BERTH_NEEDS(page.works(), "userfaultfd");
  const UniqueFd directory(open((b_ + "/d").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  std::jthread reader([&] { EXPECT_GT(syscall(SYS_getdents64, directory.get(), page.at(), AwaitedPage::kSize), 0); });
  page.await_touch();
  EXPECT_EQ(chmod((a_ + "/d").c_str(), 0700), 0);
  page.give();
  reader.join();
  EXPECT_EQ(syscall(SYS_getdents64, directory.get(), page.at(), AwaitedPage::kSize), 0);  // that was all
  struct stat attributes{};
  EXPECT_EQ(errno_of(fstatat(directory.get(), "hidden", &attributes, 0)), EACCES);
}

TEST_F(TwoMounts, AListThatNobodyHasChangedIsNotReadAgain) {
  serve({.cache_timeout = std::chrono::hours(1), .watch = false});  // else the change below would be heard of
  ASSERT_EQ(shell("mkdir " + a_ + "/d && cd " + a_ + "/d && touch $(seq 100)"), 0);
  ASSERT_EQ(names_in(b_ + "/d").size(), 102U);  // sets the access time, too
  // Past the share, and so that the directory's times don't tell either.
  struct stat before{};
  ASSERT_EQ(stat((backing_ + "/d").c_str(), &before), 0);
  ASSERT_EQ(rename((backing_ + "/d/7").c_str(), (backing_ + "/d/other").c_str()), 0);
  const std::array<timespec, 2> times{timespec{before.st_atim.tv_sec + 3600, 0}, before.st_mtim};
  ASSERT_EQ(utimensat(AT_FDCWD, (backing_ + "/d").c_str(), times.data(), 0), 0);
  BERTH_NEEDS(lists_are_kept(backing_), "a kernel with epochs (6.16) and times that tell changes apart");
  EXPECT_TRUE(names_in(b_ + "/d").contains("7"));
}

TEST_F(TwoMounts, AnOpenDescriptorReadsWhatTheOtherWrites) {
  ASSERT_EQ(shell("printf old > " + a_ + "/f"), 0);
  const int result = in_child({}, [&] {
    const int fd = open((b_ + "/f").c_str(), O_RDONLY);
    std::array<char, 3> text{};
    if (pread(fd, text.data(), 3, 0) != 3) return 1;
    const int other = open((a_ + "/f").c_str(), O_WRONLY);
    if (write(other, "new", 3) != 3) return 2;
    if (pread(fd, text.data(), 3, 0) != 3) return 3;
    return std::string(text.data(), 3) == "new" ? 0 : 4;
  });
  EXPECT_EQ(result, 0);
}

TEST_F(TwoMounts, ShareMemoryOfAMappedFile) {
  BERTH_NEEDS(share_->passthrough(),
              "passthrough (kernel 6.9, libfuse 3.17): else shared memory is each mount's own until msync");
  ASSERT_EQ(shell("head -c 4096 /dev/zero > " + a_ + "/m"), 0);
  const int result = in_child({}, [&] {
    const auto map = [](const std::string& path) {
      const int fd = open(path.c_str(), O_RDWR);
      return static_cast<char*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    };
    char* in_a = map(a_ + "/m");
    const char* in_b = map(b_ + "/m");
    in_a[7] = 'x';
    return in_b[7] == 'x' ? 0 : 1;
  });
  EXPECT_EQ(result, 0);
}

// Not over io_uring, where what is held holds up the other mount too.
class HeldAnswers : public TwoMounts {};

// A kernel that has not taken an inode in yet can't be told that its attributes are old.
TEST_F(HeldAnswers, WhatChangesWhileItIsBeingLookedUpIsNotKeptAsItWas) {
  share_.reset();
  ASSERT_EQ(shell("touch " + backing_ + "/f"), 0);  // before it is watched: no name is to be dropped meanwhile
  const HeldRequests lookups(Moment::answering, kLookup);
  serve({.cache_timeout = std::chrono::hours(1), .fault = HeldRequests::hold});
  const auto looks = [&](const std::string& path) { return std::async(std::launch::async, [path] { return size_of(path); }); };
  auto in_a = looks(a_ + "/f");
  lookups.await_one();
  lookups.let_one_go();
  ASSERT_EQ(in_a.get(), 0);
  auto in_b = looks(b_ + "/f");
  lookups.await_one();
  const UniqueFd writer(open((a_ + "/f").c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_EQ(write(writer.get(), "new", 3), 3);
  lookups.let_one_go();
  in_b.wait();
  EXPECT_EQ(size_of(b_ + "/f"), 3);
}

TEST_F(TwoMounts, WhatIsFirstOpenedForWritingWhileItIsBeingLookedUpHasItsSize) {
  constexpr int kRounds = 500;
  int wrong = 0;
  for (int round = 0; round < kRounds; ++round) {
    const std::string name = "/f" + std::to_string(round);
    auto seen = std::async(std::launch::async, [path = b_ + name] {
      struct stat ignored{};
      while (stat(path.c_str(), &ignored) != 0) std::this_thread::yield();
    });
    const UniqueFd writer(open((a_ + name).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    ASSERT_EQ(write(writer.get(), "new", 3), 3);
    seen.get();
    wrong += size_of(b_ + name) == 3 ? 0 : 1;
  }
  EXPECT_EQ(wrong, 0);
}

// The kernel does not take attributes in that were asked for before it was told of a change, and so does not see by them that its
// pages are old.
TEST_F(HeldAnswers, DataThatWentThroughTheDaemonIsNewWhateverElseBecomesOfTheFile) {
  share_.reset();
  ASSERT_EQ(shell("printf old > " + backing_ + "/f"), 0);
  const HeldRequests questions(Moment::answering, kGetattr);
  serve({.passthrough = false, .cache_timeout = std::chrono::hours(1), .fault = HeldRequests::hold});
  questions.let_pass();
  const UniqueFd reader(open((b_ + "/f").c_str(), O_RDONLY | O_CLOEXEC));
  const auto reads = [&] {
    return std::async(std::launch::async, [file = reader.get()] {
      std::string text(3, ' ');
      return pread(file, text.data(), 3, 0) == 3 ? text : "?";
    });
  };
  const UniqueFd writer(open((a_ + "/f").c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_EQ(reads().get(), "old");
  ASSERT_EQ(pwrite(writer.get(), "new", 3, 0), 3);
  questions.hold_again();
  auto after = reads();
  questions.await_one();
  EXPECT_EQ(futimens(writer.get(), nullptr), 0);
  questions.let_pass();
  EXPECT_EQ(after.get(), "new");
}

struct flock whole_file(short type) {
  struct flock lock{};
  lock.l_type = type;
  return lock;
}

TEST_F(TwoMounts, LocksExcludeEachOther) {
  ASSERT_EQ(shell("touch " + a_ + "/l"), 0);
  const int posix = in_child({}, [&] {
    const int fd = open((a_ + "/l").c_str(), O_RDWR);
    auto lock = whole_file(F_WRLCK);
    if (fcntl(fd, F_SETLK, &lock) != 0) return 1;
    return in_child({}, [&] {
      const int other = open((b_ + "/l").c_str(), O_RDWR);
      auto wanted = whole_file(F_WRLCK);
      if (fcntl(other, F_GETLK, &wanted) != 0 || wanted.l_type != F_WRLCK) return 2;
      wanted = whole_file(F_WRLCK);
      return fcntl(other, F_SETLK, &wanted) == 0 ? 3 : errno;
    });
  });
  EXPECT_EQ(posix, EAGAIN);
  const int whole = in_child({}, [&] {
    const int fd = open((a_ + "/l").c_str(), O_RDWR);
    const int other = open((b_ + "/l").c_str(), O_RDWR);
    if (flock(fd, LOCK_EX) != 0) return 1;
    return errno_of(flock(other, LOCK_EX | LOCK_NB));
  });
  EXPECT_EQ(whole, EWOULDBLOCK);
}

TEST_F(TwoMounts, TheHolderOfAPosixLockIsNamed) {
  ASSERT_EQ(shell("touch " + a_ + "/l"), 0);
  const UniqueFd held(open((a_ + "/l").c_str(), O_RDWR | O_CLOEXEC));
  auto lock = whole_file(F_WRLCK);
  ASSERT_EQ(fcntl(held.get(), F_SETLK, &lock), 0);
  const int result = in_child({}, [&] {
    auto asked = whole_file(F_WRLCK);
    if (fcntl(open((a_ + "/l").c_str(), O_RDWR), F_GETLK, &asked) != 0) return 1;
    return asked.l_type == F_WRLCK && asked.l_pid == getppid() ? 0 : 2;
  });
  EXPECT_EQ(result, 0);
}

// Two descriptors of one process have one set of POSIX locks; closing either lets all go.
TEST_F(TwoMounts, PosixLocksBelongToTheProcess) {
  ASSERT_EQ(shell("touch " + a_ + "/l"), 0);
  const int result = in_child({}, [&] {
    const int one = open((a_ + "/l").c_str(), O_RDWR);
    const int two = open((a_ + "/l").c_str(), O_RDWR);
    auto lock = whole_file(F_WRLCK);
    if (fcntl(one, F_SETLK, &lock) != 0) return 1;
    if (fcntl(two, F_SETLK, &lock) != 0) return 2;
    close(two);
    return in_child({}, [&] {
      const int other = open((b_ + "/l").c_str(), O_RDWR);
      auto wanted = whole_file(F_WRLCK);
      return errno_of(fcntl(other, F_SETLK, &wanted));
    });
  });
  EXPECT_EQ(result, 0);
}

// More waiters than workers: were they to wait in workers, nobody could let the lock go.
TEST_F(TwoMounts, WaitingForALockHoldsNoWorker) {
  ASSERT_EQ(shell("touch " + a_ + "/l"), 0);
  const UniqueFd held(open((a_ + "/l").c_str(), O_RDWR | O_CLOEXEC));
  auto lock = whole_file(F_WRLCK);
  ASSERT_EQ(fcntl(held.get(), F_SETLK, &lock), 0);
  std::vector<pid_t> waiters;
  for (int i = 0; i < 12; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      const int fd = open((b_ + "/l").c_str(), O_RDWR);
      auto wanted = whole_file(F_WRLCK);
      _exit(fcntl(fd, F_SETLKW, &wanted) == 0 ? 0 : 1);
    }
    waiters.push_back(child);
  }
  EXPECT_EQ(shell("echo still > " + b_ + "/served && cat " + a_ + "/served"), 0);
  lock.l_type = F_UNLCK;
  ASSERT_EQ(fcntl(held.get(), F_SETLK, &lock), 0);
  for (const pid_t waiter : waiters) EXPECT_EQ(status_of(waiter), 0);
}

TEST_F(TwoMounts, AWaiterForALockCanBeKilled) {
  ASSERT_EQ(shell("touch " + a_ + "/l"), 0);
  const UniqueFd held(open((a_ + "/l").c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(flock(held.get(), LOCK_EX), 0);
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe(ends.data()), 0);
  const pid_t child = fork();
  if (child == 0) {
    const int fd = open((b_ + "/l").c_str(), O_RDWR);
    if (write(ends[1], "w", 1) != 1) _exit(2);
    flock(fd, LOCK_EX);
    _exit(0);
  }
  char ready = 0;
  ASSERT_EQ(read(ends[0], &ready, 1), 1);
  kill(child, SIGKILL);
  EXPECT_EQ(status_of(child), SIGKILL);
  EXPECT_EQ(flock(held.get(), LOCK_UN), 0);
  EXPECT_EQ(in_child({}, [&] { return errno_of(flock(open((b_ + "/l").c_str(), O_RDWR), LOCK_EX | LOCK_NB)); }), 0);
}

TEST_F(TwoMounts, ADetachedMountAnswersEnotconnAndTheOtherLives) {
  ASSERT_EQ(shell("echo x > " + a_ + "/f"), 0);
  share_->detach(MountId("task/a"));
  share_->detach(MountId("never/seen"));
  EXPECT_EQ(in_child({}, [&] { return errno_of(open((a_ + "/f").c_str(), O_RDONLY)); }), ENOTCONN);
  EXPECT_EQ(output_of("cat " + b_ + "/f"), "x");
  EXPECT_EQ(share_->mounts_alive(), 1U);
}

TEST_F(TwoMounts, AnUnmountedMountIsForgotten) {
  ASSERT_EQ(share_->mounts_alive(), 2U);
  ASSERT_EQ(umount2(a_.c_str(), 0), 0);
  // The kernel tells the daemon; what comes next on the other mount is served after a while at the latest.
  std::size_t alive = 2;
  for (int i = 0; i < 10000 && alive != 1; ++i) alive = share_->mounts_alive();
  EXPECT_EQ(alive, 1U);
}

TEST_F(TwoMounts, ABackingDirectoryThatDisappearsGivesErrorsAndNoHang) {
  serve({});
  ASSERT_EQ(shell("mkdir " + a_ + "/d && touch " + a_ + "/d/f"), 0);
  ASSERT_EQ(shell("rm -rf " + backing_), 0);
  EXPECT_NE(shell("touch " + a_ + "/x 2>/dev/null"), 0);
  // What the kernel remembers of it goes with the cache's time at the latest.
  EXPECT_EQ(shell("for i in $(seq 10000); do cat " + a_ + "/d/f 2>/dev/null || exit 0; done; exit 1"), 0);
  EXPECT_EQ(shell("ls " + b_ + " > /dev/null"), 0);
}

TEST_F(TwoMounts, TheLimitsOfEfsAnswerWithTheirErrors) {
  EXPECT_EQ(in_child({}, [&] { return errno_of(mkdir((a_ + "/" + std::string(256, 'n')).c_str(), 0755)); }), ENAMETOOLONG);
  EXPECT_EQ(in_child({}, [&] { return errno_of(mkdir((a_ + "/" + std::string(255, 'n')).c_str(), 0755)); }), 0);
  EXPECT_EQ(in_child({}, [&] { return errno_of(symlink(std::string(4081, 't').c_str(), (a_ + "/s").c_str())); }), ENAMETOOLONG);
  const int links = in_child({}, [&] {
    if (mknod((a_ + "/l").c_str(), S_IFREG | 0644, 0) != 0) return 0;
    for (int i = 1; i < 300; ++i) {
      if (link((a_ + "/l").c_str(), (a_ + "/l" + std::to_string(i)).c_str()) != 0) return errno == EMLINK ? i : 0;
    }
    return 0;
  });
  EXPECT_EQ(links, 177);
}

}  // namespace
}  // namespace berth::fuse::test

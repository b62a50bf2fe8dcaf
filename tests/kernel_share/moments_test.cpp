// Every operation that must not be done twice, with the daemon dying at every moment of it: before the backing call, after it,
// before and after the reply. The program sees the operation succeed, once; nothing is left over.
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/kernel_share/kept_share.hpp"
#include "tests/kernel_share/served_share.hpp"
#include "tests/support/requirements.hpp"

namespace berth::fuse::test {
namespace {

using Trap = KeptShare::Trap;
constexpr Rights kAll{.write = true, .root_access = true};

// The kernel's numbers (<linux/fuse.h>).
constexpr std::uint32_t kLookup = 1, kSetattr = 4, kSymlink = 6, kMknod = 8, kMkdir = 9, kUnlink = 10, kRmdir = 11, kLink = 13,
                        kOpen = 14, kWrite = 16, kRelease = 18, kFlush = 25, kOpendir = 27, kSetlk = 32, kCreate = 35,
                        kFallocate = 43, kReaddirplus = 44, kRename2 = 45, kCopy = 47, kTmpfile = 51, kRename = 12;

int result(bool good) { return good ? 0 : errno; }
std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}
void put(const std::string& path, const std::string& text) { std::ofstream(path) << text; }
bool exists(const std::string& path) {
  struct stat ignored{};
  return lstat(path.c_str(), &ignored) == 0;
}

struct Operation {
  std::string name;
  std::uint32_t opcode;
  std::vector<Moment> moments;
  std::function<void(const std::string& backing)> prepare;   // in the backing directory
  std::function<int(const std::string& mount)> act;          // its errno
  std::function<bool(const std::string& backing)> was_done;  // once
};
const std::vector<Moment> kNames{Moment::received, Moment::begun, Moment::executed, Moment::recorded, Moment::answered};
const std::vector<Moment> kEntries{Moment::received, Moment::begun,     Moment::executed, Moment::recorded,
                                   Moment::counted,  Moment::answering, Moment::answered};
const std::vector<Moment> kHandles{Moment::received, Moment::counted, Moment::answering, Moment::answered};
const std::vector<Moment> kEnds{Moment::received, Moment::answered};

int open_write_close(const std::string& path, int flags, mode_t mode) {
  const UniqueFd file(open(path.c_str(), flags | O_CLOEXEC, mode));
  if (!file) return errno;
  return result(write(file.get(), "x", 1) == 1);
}

int append_twice(const std::string& path) {
  const UniqueFd file(open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  if (!file) return errno;
  return result(write(file.get(), "two", 3) == 3 && write(file.get(), "three", 5) == 5);
}

int count_names(const std::string& path) {
  DIR* stream = opendir(path.c_str());
  if (stream == nullptr) return -1;
  int count = 0;
  while (const dirent* entry = readdir(stream)) count += entry->d_name[0] == '.' ? 0 : 1;
  closedir(stream);
  return count;
}

int lock_and_unlock(const std::string& path) {
  const UniqueFd file(open(path.c_str(), O_RDWR | O_CLOEXEC));
  struct flock lock{};
  lock.l_type = F_WRLCK;
  if (!file || fcntl(file.get(), F_SETLK, &lock) != 0) return errno;
  lock.l_type = F_UNLCK;
  return result(fcntl(file.get(), F_SETLK, &lock) == 0);
}

int copy_range(const std::string& mount) {
  const UniqueFd from(open((mount + "/from").c_str(), O_RDONLY | O_CLOEXEC));
  const UniqueFd to(open((mount + "/to").c_str(), O_RDWR | O_CLOEXEC));
  if (!from || !to) return errno;
  off_t in = 1;
  off_t out = 2;
  return result(copy_file_range(from.get(), &in, to.get(), &out, 3, 0) == 3);
}

const std::vector<Operation>& operations() {
  static const std::vector<Operation> all{
      {"Mkdir",
       kMkdir,
       kEntries,
       {},
       [](auto& m) { return result(mkdir((m + "/d").c_str(), 0755) == 0); },
       [](auto& b) { return std::filesystem::is_directory(b + "/d"); }},
      {"Mknod",
       kMknod,
       kEntries,
       {},
       [](auto& m) { return result(mknod((m + "/p").c_str(), S_IFIFO | 0644, 0) == 0); },
       [](auto& b) { return std::filesystem::is_fifo(b + "/p"); }},
      {"Symlink",
       kSymlink,
       kEntries,
       {},
       [](auto& m) { return result(symlink("to", (m + "/s").c_str()) == 0); },
       [](auto& b) { return std::filesystem::read_symlink(b + "/s") == "to"; }},
      {"Link", kLink, kEntries, [](auto& b) { put(b + "/f", "x"); },
       [](auto& m) { return result(link((m + "/f").c_str(), (m + "/g").c_str()) == 0); },
       [](auto& b) { return std::filesystem::hard_link_count(b + "/f") == 2 && exists(b + "/g"); }},
      // Its mode would not let it be opened a second time; root could, so it is another user.
      {"ExclusiveCreate", kCreate, kEntries, [](auto& b) { chmod(b.c_str(), 0777); },
       [](auto& m) {
         struct stat now{};
         while (stat(m.c_str(), &now) == 0 && (now.st_mode & 0777) != 0777) {
         }  // made past the share, so it takes a moment to be seen
         return setfsuid(1234), open_write_close(m + "/f", O_CREAT | O_EXCL | O_WRONLY, 0400);
       },
       [](auto& b) { return text_of(b + "/f") == "x"; }},
      {"Tmpfile",
       kTmpfile,
       kHandles,
       {},
       [](auto& m) {
         const UniqueFd file(open(m.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
         if (!file) return errno;
         char read = 0;
         return result(write(file.get(), "x", 1) == 1 && pread(file.get(), &read, 1, 0) == 1 && read == 'x');
       },
       [](auto& b) { return std::filesystem::is_empty(b); }},
      {"Unlink", kUnlink, kNames, [](auto& b) { put(b + "/f", "x"); },
       [](auto& m) { return result(unlink((m + "/f").c_str()) == 0); }, [](auto& b) { return !exists(b + "/f"); }},
      {"Rmdir", kRmdir, kNames, [](auto& b) { mkdir((b + "/d").c_str(), 0755); },
       [](auto& m) { return result(rmdir((m + "/d").c_str()) == 0); }, [](auto& b) { return !exists(b + "/d"); }},
      {"Rename", kRename, kNames, [](auto& b) { put(b + "/old", "moved"), put(b + "/new", "lost"); },
       [](auto& m) { return result(rename((m + "/old").c_str(), (m + "/new").c_str()) == 0); },
       [](auto& b) { return text_of(b + "/new") == "moved" && !exists(b + "/old"); }},
      {"RenameNoReplace", kRename2, kNames, [](auto& b) { put(b + "/old", "moved"); },
       [](auto& m) {
         return result(renameat2(AT_FDCWD, (m + "/old").c_str(), AT_FDCWD, (m + "/new").c_str(), RENAME_NOREPLACE) == 0);
       },
       [](auto& b) { return text_of(b + "/new") == "moved" && !exists(b + "/old"); }},
      {"RenameExchange", kRename2, kNames, [](auto& b) { put(b + "/a", "was a"), put(b + "/b", "was b"); },
       [](auto& m) {
         return result(renameat2(AT_FDCWD, (m + "/a").c_str(), AT_FDCWD, (m + "/b").c_str(), RENAME_EXCHANGE) == 0);
       },
       [](auto& b) { return text_of(b + "/a") == "was b" && text_of(b + "/b") == "was a"; }},
      {"OpenWithTruncation", kOpen, kEntries, [](auto& b) { put(b + "/f", "long text"); },
       [](auto& m) { return open_write_close(m + "/f", O_WRONLY | O_TRUNC, 0); },
       [](auto& b) { return text_of(b + "/f") == "x"; }},
      {"Opendir", kOpendir, kHandles, [](auto& b) { put(b + "/f", ""); }, [](auto& m) { return count_names(m) == 1 ? 0 : 1; },
       [](auto&) { return true; }},
      {"Readdirplus",
       kReaddirplus,
       {Moment::received, Moment::counted, Moment::answering, Moment::answered},
       [](auto& b) {
         for (int i = 0; i < 9; ++i) put(fmt::format("{}/f{}", b, i), "");
       },
       [](auto& m) { return count_names(m) == 9 ? 0 : 1; },
       [](auto&) { return true; }},
      {"Lookup",
       kLookup,
       {Moment::received, Moment::counted, Moment::answering, Moment::answered},
       [](auto& b) { put(b + "/f", ""); },
       [](auto& m) { return exists(m + "/f") ? 0 : errno; },
       [](auto&) { return true; }},
      {"SetattrOfSizeAndTimes", kSetattr, kNames, [](auto& b) { put(b + "/f", "long text"), chmod((b + "/f").c_str(), 06755); },
       [](auto& m) {
         return setfsuid(1234), chmod((m + "/f").c_str(), 0), setfsuid(0), result(truncate((m + "/f").c_str(), 4) == 0);
       },
       [](auto& b) { return text_of(b + "/f") == "long"; }},
      {"Fallocate", kFallocate, kNames, [](auto& b) { put(b + "/f", "text"); },
       [](auto& m) {
         const UniqueFd file(open((m + "/f").c_str(), O_RDWR | O_CLOEXEC));
         return result(fallocate(file.get(), 0, 0, 10) == 0);
       },
       [](auto& b) { return text_of(b + "/f") == std::string("text\0\0\0\0\0\0", 10); }},
      {"CopyFileRange", kCopy, kNames, [](auto& b) { put(b + "/from", "abcdef"), put(b + "/to", "12345678"); }, copy_range,
       [](auto& b) { return text_of(b + "/to") == "12bcd678"; }},
      {"PosixLock", kSetlk, kEnds, [](auto& b) { put(b + "/f", ""); }, [](auto& m) { return lock_and_unlock(m + "/f"); },
       [](auto&) { return true; }},
      {"Flush", kFlush, kEnds, [](auto& b) { put(b + "/f", ""); }, [](auto& m) { return lock_and_unlock(m + "/f"); },
       [](auto&) { return true; }},
      {"Release", kRelease, kEnds, [](auto& b) { put(b + "/f", ""); },
       [](auto& m) { return open_write_close(m + "/f", O_WRONLY, 0); }, [](auto& b) { return text_of(b + "/f") == "x"; }},
  };
  return all;
}

const std::vector<Operation>& writes() {
  static const std::vector<Operation> all{
      {"Append", kWrite, kNames, [](auto& b) { put(b + "/f", "one"); }, [](auto& m) { return append_twice(m + "/f"); },
       [](auto& b) { return text_of(b + "/f") == "onetwothree"; }},
      {"Write", kWrite, kNames, [](auto& b) { put(b + "/f", "one"); },
       [](auto& m) { return open_write_close(m + "/f", O_WRONLY, 0); }, [](auto& b) { return text_of(b + "/f") == "xne"; }},
  };
  return all;
}

class Moments : public testing::TestWithParam<Way> {
 protected:
  void SetUp() override { BERTH_NEEDS(why_no_mounts().empty(), why_no_mounts()); }

  void start(const Way& way) {
    ASSERT_EQ(::mkdir((temporary_ / "backing").c_str(), 0777), 0);
    std::vector<Place> places;
    for (const char* name : {"a", "b"}) {
      places.push_back({.spec = {.id = MountId(std::string("moments/") + name), .backing_directory = backing(), .rights = kAll},
                        .path = temporary_ / name});
    }
    share_ = std::make_unique<KeptShare>(places, way.options());
    ASSERT_EQ(share_->first(), "mounted");
  }
  std::string backing() const { return temporary_ / "backing"; }
  std::string a() const { return temporary_ / "a"; }
  std::string b() const { return temporary_ / "b"; }

  // RELEASE and FORGET come some time after close and unlink: asked again until then.
  void expect_nothing_is_left_over(const KeptShare::Holdings& before) {
    for (int tries = 0; tries < 2000; ++tries) {
      if (share_->holdings().descriptors <= before.descriptors) return;
    }
    EXPECT_LE(share_->holdings().descriptors, before.descriptors) << "descriptors";
  }

  // Kernels that can't drop all names at once when a daemon comes (before 6.16) know those of the operation before until then.
  void await_what_was_done_past_the_share() {
    const std::string last = "/last" + std::to_string(++rounds_);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    // What they remember of this name changes when they are told, and they are told in order.
    const auto await = [&](bool there) {
      const auto see = [&](const std::string& mount) { return (access((mount + last).c_str(), F_OK) == 0) == there; };
      while (!see(a()) || !see(b())) ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    };
    await(false);
    put(backing() + last, "");
    await(true);
    std::filesystem::remove(backing() + last);
    await(false);
  }
  // Not with a libfuse before 3.17.
  bool makes_nameless_files() const {
    const UniqueFd file(open(a().c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    return static_cast<bool>(file);
  }

  void run(const Operation& operation, Moment moment) {
    if (operation.opcode == kTmpfile && !makes_nameless_files()) return;
    SCOPED_TRACE(fmt::format("{} at moment {}", operation.name, static_cast<unsigned>(moment)));
    for (const auto& entry : std::filesystem::directory_iterator(backing())) std::filesystem::remove_all(entry.path());
    if (operation.prepare) operation.prepare(backing());
    await_what_was_done_past_the_share();
    const auto before = share_->holdings();
    share_->set_trap(Trap::die, moment, operation.opcode);
    EXPECT_EQ(in_child({}, [&] { return operation.act(a()); }), 0);
    EXPECT_EQ(share_->hear(), "recovered 2");
    ASSERT_FALSE(share_->trap_is_set()) << "never came there";
    EXPECT_TRUE(operation.was_done(backing()));
    EXPECT_TRUE(operation.was_done(b())) << "as the other mount sees it";
    expect_nothing_is_left_over(before);
  }

  TemporaryDirectory temporary_;
  std::unique_ptr<KeptShare> share_;
  unsigned rounds_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Share, Moments, testing::ValuesIn(kWays), name_of_way);

TEST_P(Moments, EachOperationIsDoneOnceThoughTheDaemonDiesInTheMiddleOfIt) {
  start(GetParam());
  for (const auto* all : {&operations(), &writes()}) {
    if (all == &writes() && GetParam().passthrough) continue;  // of which the daemon does not hear
    for (const Operation& operation : *all) {
      for (const Moment moment : operation.moments) run(operation, moment);
    }
  }
}

}  // namespace
}  // namespace berth::fuse::test

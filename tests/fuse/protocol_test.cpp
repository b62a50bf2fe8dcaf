// The daemon's side of the FUSE protocol, byte by byte, without a mount and without root.
#include <sys/stat.h>
#include <algorithm>

#include <cstdlib>
#include <fstream>

#include <gtest/gtest.h>

#include "tests/fuse/fake_kernel.hpp"

namespace berth::fuse::test {
namespace {

constexpr Rights kAll{.write = true, .root_access = true};

class Protocol : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "berth-protocol-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    path_ = name;
    kernel_ = std::make_unique<FakeKernel>(survival_, name);
  }
  void TearDown() override {
    kernel_.reset();
    std::filesystem::remove_all(path_);
  }
  void start(MountSpec spec) {
    const auto mounted = kernel_->mount(std::move(spec));
    ASSERT_TRUE(mounted) << mounted.error().message;
    ASSERT_EQ(kernel_->init().error, 0);
  }

  Reply lookup(std::uint64_t parent, std::string_view name) {
    return kernel_->request(FUSE_LOOKUP, parent, FakeKernel::text(name));
  }
  Reply make_directory(std::string_view name, std::uint64_t unique = 0) {
    return kernel_->request(FUSE_MKDIR, 1, FakeKernel::bytes_of(fuse_mkdir_in{.mode = 0755, .umask = 0}, name), unique);
  }
  Reply open_file(std::uint64_t ino, std::uint32_t flags) {
    struct fuse_open_in in{};
    in.flags = flags;
    return kernel_->request(FUSE_OPEN, ino, FakeKernel::bytes_of(in));
  }
  static std::uint64_t ino_in(const Reply& reply) { return reply.as<fuse_entry_out>().nodeid; }

  std::filesystem::path path_;
  VolatileSurvival survival_;
  std::unique_ptr<FakeKernel> kernel_;
};

TEST_F(Protocol, InitNeverTakesOverTheClearingOfSuidBits) {
  ASSERT_TRUE(kernel_->mount({.rights = kAll}));
  struct fuse_init_in in{};
  in.major = FUSE_KERNEL_VERSION;
  in.minor = 36;
  in.flags = 0x7fffffff;  // a kernel that offers everything
  in.flags2 = 0x7fffffff;
  const Reply reply = kernel_->request(FUSE_INIT, 0, FakeKernel::bytes_of(in));
  ASSERT_EQ(reply.error, 0);
  const auto out = reply.as<fuse_init_out>();
  EXPECT_EQ(out.flags & FUSE_HANDLE_KILLPRIV, 0U);
  EXPECT_EQ(out.flags & FUSE_HANDLE_KILLPRIV_V2, 0U);
  EXPECT_EQ(out.flags & FUSE_WRITEBACK_CACHE, 0U);
  EXPECT_EQ(out.flags & FUSE_EXPORT_SUPPORT, 0U);
  EXPECT_NE(out.flags & FUSE_POSIX_LOCKS, 0U);
}

TEST_F(Protocol, ADirectoryIsMadeAndFoundUnderOneNodeid) {
  start({.rights = kAll});
  const Reply made = make_directory("d");
  ASSERT_EQ(made.error, 0);
  const Reply found = lookup(1, "d");
  ASSERT_EQ(found.error, 0);
  EXPECT_EQ(ino_in(made), ino_in(found));
  EXPECT_TRUE(std::filesystem::is_directory(path_ / "d"));
  EXPECT_EQ(make_directory("d").error, EEXIST);
}

TEST_F(Protocol, WithoutTheRightToWriteAChangeIsErofs) {
  std::ofstream(path_ / "f") << "text";
  start({.rights = {.write = false, .root_access = true}});
  EXPECT_EQ(make_directory("d").error, EROFS);
  const auto ino = ino_in(lookup(1, "f"));
  EXPECT_EQ(open_file(ino, O_WRONLY).error, EROFS);
  const Reply opened = open_file(ino, O_RDONLY);
  ASSERT_EQ(opened.error, 0);
  struct fuse_write_in write{};
  write.fh = opened.as<fuse_open_out>().fh;
  write.size = 1;
  EXPECT_EQ(kernel_->request(FUSE_WRITE, ino, FakeKernel::bytes_of(write, "")).error, EROFS);
  kernel_->served().set_rights(kAll);
  EXPECT_EQ(make_directory("d").error, 0);
}

TEST_F(Protocol, NamesThatLeadElsewhereAreRefused) {
  std::filesystem::create_directories(path_ / "root" / "in");
  start({.root = "/root", .rights = kAll});
  for (const std::string_view name : {"..", ".", "", "in/..", "../root", "/etc"}) {
    EXPECT_EQ(lookup(1, name).error, EINVAL) << name;
    EXPECT_EQ(make_directory(name).error, EINVAL) << name;
  }
  EXPECT_EQ(lookup(1, std::string(256, 'n')).error, ENAMETOOLONG);
  EXPECT_EQ(kernel_->request(FUSE_UNLINK, 1, FakeKernel::text("../root")).error, EINVAL);
  EXPECT_EQ(kernel_->request(FUSE_RENAME, 1, FakeKernel::bytes_of(fuse_rename_in{.newdir = 1}, "in", "../out")).error, EINVAL);
  EXPECT_TRUE(std::filesystem::exists(path_ / "root" / "in"));
}

TEST_F(Protocol, ForgedNodeidsAndHandlesGetAnErrorAndNoCrash) {
  start({.rights = kAll});
  for (const std::uint64_t forged : {std::uint64_t{2}, std::uint64_t{12345}, ~std::uint64_t{0}, std::uint64_t{1} << 33U}) {
    EXPECT_EQ(lookup(forged, "x").error, ESTALE);
    EXPECT_EQ(open_file(forged, O_RDONLY).error, ESTALE);
    EXPECT_EQ(kernel_->request(FUSE_GETATTR, forged, FakeKernel::bytes_of(fuse_getattr_in{})).error, ESTALE);
    struct fuse_read_in read{};
    read.fh = forged;
    read.size = 10;
    EXPECT_EQ(kernel_->request(FUSE_READ, 1, FakeKernel::bytes_of(read)).error, EBADF);
    EXPECT_EQ(kernel_->request(FUSE_READDIR, 1, FakeKernel::bytes_of(read)).error, EBADF);
    struct fuse_release_in release{};
    release.fh = forged;
    EXPECT_EQ(kernel_->request(FUSE_RELEASE, 1, FakeKernel::bytes_of(release)).error, 0);
  }
  EXPECT_EQ(make_directory("still_served").error, 0);
}

TEST_F(Protocol, AForgottenNodeidIsStale) {
  start({.rights = kAll});
  const auto ino = ino_in(make_directory("d"));
  kernel_->request(FUSE_FORGET, ino, FakeKernel::bytes_of(fuse_forget_in{.nlookup = 1}));
  EXPECT_EQ(lookup(ino, "x").error, ESTALE);
  EXPECT_EQ(kernel_->served().stats().known_inodes, 1U);
}

TEST_F(Protocol, AFifoIsNeverOpened) {
  ASSERT_EQ(mkfifo((path_ / "fifo").c_str(), 0644), 0);
  start({.rights = kAll});
  EXPECT_EQ(open_file(ino_in(lookup(1, "fifo")), O_RDONLY).error, ENXIO);
}

TEST_F(Protocol, ExtendedAttributesAreNotImplementedAsWithEfs) {
  start({.rights = kAll});
  EXPECT_EQ(kernel_->request(FUSE_GETXATTR, 1, FakeKernel::bytes_of(fuse_getxattr_in{.size = 0}, "security.capability")).error,
            ENOSYS);
}

TEST_F(Protocol, ShortAndEmptyRequestsAreIgnored) {
  start({.rights = kAll});
  EXPECT_FALSE(kernel_->raw(std::vector<std::byte>(7)).came);
  EXPECT_EQ(make_directory("still_served").error, 0);
}

TEST_F(Protocol, AClosedDeviceIsTheEndOfTheMount) {
  start({.rights = kAll});
  kernel_->hang_up();
  std::array<std::byte, 64> buffer{};
  const auto received = kernel_->served().receive(buffer);
  ASSERT_FALSE(received);
  EXPECT_EQ(received.error(), Errno{ENODEV});
}

TEST_F(Protocol, AMountThatWasEndingWhenTheDaemonDiedIsForgottenAndNotServed) {
  start({.rights = kAll});
  const auto restarted = kernel_->restart_while_ending(survival_);
  ASSERT_FALSE(restarted);
  EXPECT_EQ(restarted.error().code, Code::not_found);
  const auto regions = survival_.regions();
  EXPECT_EQ(std::ranges::count(regions, "share/1"), 0);
}

TEST_F(Protocol, AfterARestartTheNodeidsAreTheSameAndTheKernelIsAskedToResend) {
  start({.rights = kAll});
  const auto ino = ino_in(make_directory("d"));
  const auto restarted = kernel_->restart(survival_);
  ASSERT_TRUE(restarted) << restarted.error().message;
  const auto replayed = kernel_->heard();
  ASSERT_TRUE(replayed);
  EXPECT_EQ(replayed->unique, 0x7ffffffffffffff0U);
  const auto notified = kernel_->heard();
  ASSERT_TRUE(notified);
  EXPECT_EQ(notified->unique, 0U);
  EXPECT_EQ(notified->error, -7) << "FUSE_NOTIFY_RESEND";
  EXPECT_EQ(kernel_->request(FUSE_GETATTR, ino, FakeKernel::bytes_of(fuse_getattr_in{})).error, 0);
  EXPECT_EQ(ino_in(lookup(1, "d")), ino);
}

// What a crash leaves: the request's record, its effect on the disk or not, no reply. tests/kernel_share/moments_test.cpp
// kills real daemons at each of these moments.
class ResentRequests : public Protocol {
 protected:
  static constexpr std::uint64_t kUnique = 4242;
  static constexpr std::uint64_t kResent = kUnique | (std::uint64_t{1} << 63U);

  JournalRecord& record() {
    return reinterpret_cast<JournalMemory*>(survival_.region("share/journal", sizeof(JournalMemory))->data())->records[3];
  }
  // A request that had come to the backing call, to a name for which there was nothing.
  JournalRecord& begun(Change change, std::string_view name) {
    JournalRecord& begun = record();
    begun.mount = 1;
    begun.parent = 1;
    begun.change = change;
    begun.stage = Stage::begun;
    begun.before = {0, 0, 1};
    begun.name = {};
    name.copy(begun.name.data(), begun.name.size() - 1);
    begun.unique = kUnique;
    return begun;
  }
  KnownInode inode_of(const std::string& name) const {
    struct stat attributes{};
    EXPECT_EQ(lstat((path_ / name).c_str(), &attributes), 0);
    return {attributes.st_dev, attributes.st_ino, 1};
  }
  // The reply to the request that comes again.
  Reply crash_and_resend(std::uint32_t opcode, std::uint64_t nodeid, const std::vector<std::byte>& body,
                         std::uint64_t unique = kResent) {
    EXPECT_TRUE(kernel_->restart(survival_, kernel_->message(opcode, nodeid, body, unique)));
    while (const auto heard = kernel_->heard()) {
      if ((heard->unique | (std::uint64_t{1} << 63U)) == unique) return *heard;
    }
    return {};
  }
  Reply crash_and_resend_mkdir(std::uint64_t unique = kResent) {
    return crash_and_resend(FUSE_MKDIR, 1, FakeKernel::bytes_of(fuse_mkdir_in{.mode = 0755, .umask = 0}, "d"), unique);
  }
};

TEST_F(ResentRequests, AMkdirThatWasDoneSucceedsThoughTheDirectoryIsThere) {
  start({.rights = kAll});
  begun(Change::make, "d");
  std::filesystem::create_directory(path_ / "d");
  const Reply again = crash_and_resend_mkdir();
  EXPECT_TRUE(again.came);
  EXPECT_EQ(again.error, 0);
  EXPECT_EQ(make_directory("d").error, EEXIST);
}

TEST_F(ResentRequests, AMkdirThatFoundTheNameTakenFails) {
  start({.rights = kAll});
  std::filesystem::create_directory(path_ / "d");
  begun(Change::make, "d").before = inode_of("d");
  EXPECT_EQ(crash_and_resend_mkdir().error, EEXIST);
}

TEST_F(ResentRequests, AMkdirThatWasNotBegunFailsThoughAnotherDirectoryIsThere) {
  start({.rights = kAll});
  std::filesystem::create_directory(path_ / "d");
  begun(Change::make, "d").stage = Stage::received;
  EXPECT_EQ(crash_and_resend_mkdir().error, EEXIST);
}

TEST_F(ResentRequests, OneThatNobodyHadBegunIsAsAnyOther) {
  start({.rights = kAll});
  begun(Change::make, "other");
  std::filesystem::create_directory(path_ / "d");
  EXPECT_EQ(crash_and_resend_mkdir(kResent + 2).error, EEXIST);
}

TEST_F(ResentRequests, AnUnlinkThatWasDoneSucceedsThoughTheNameIsGone) {
  std::ofstream(path_ / "f") << "x";
  start({.rights = kAll});
  begun(Change::remove, "f").before = inode_of("f");
  std::filesystem::remove(path_ / "f");
  EXPECT_EQ(crash_and_resend(FUSE_UNLINK, 1, FakeKernel::text("f")).error, 0);
  EXPECT_EQ(kernel_->request(FUSE_UNLINK, 1, FakeKernel::text("f")).error, ENOENT);
}

TEST_F(ResentRequests, AnUnlinkThatWasDoneLeavesTheNextFileOfThatNameAlone) {
  std::ofstream(path_ / "f") << "x";
  start({.rights = kAll});
  const UniqueFd keeps_the_number(open((path_ / "f").c_str(), O_RDONLY | O_CLOEXEC));
  begun(Change::remove, "f").before = inode_of("f");
  std::filesystem::remove(path_ / "f");
  std::ofstream(path_ / "f") << "another's";
  EXPECT_EQ(crash_and_resend(FUSE_UNLINK, 1, FakeKernel::text("f")).error, 0);
  EXPECT_TRUE(std::filesystem::exists(path_ / "f"));
}

TEST_F(ResentRequests, ARenameThatWasDoneSucceedsThoughTheOldNameIsGone) {
  std::ofstream(path_ / "new") << "x";
  start({.rights = kAll});
  JournalRecord& rename = begun(Change::rename, "old");
  rename.before = inode_of("new");
  rename.new_parent = 1;
  rename.new_name = NameText{"new"};
  const auto body = FakeKernel::bytes_of(fuse_rename_in{.newdir = 1}, "old", "new");
  EXPECT_EQ(crash_and_resend(FUSE_RENAME, 1, body).error, 0);
  EXPECT_EQ(kernel_->request(FUSE_RENAME, 1, body).error, ENOENT);
}

TEST_F(ResentRequests, AnExclusiveCreateThatWasDoneOpensItsFileWhateverItsMode) {
  start({.rights = kAll});
  std::ofstream(path_ / "f") << "";
  std::filesystem::permissions(path_ / "f", std::filesystem::perms::none);
  begun(Change::make, "f");
  struct fuse_create_in in{};
  in.flags = O_RDWR | O_CREAT | O_EXCL;
  EXPECT_EQ(crash_and_resend(FUSE_CREATE, 1, FakeKernel::bytes_of(in, "f")).error, geteuid() == 0 ? 0 : EACCES);
  EXPECT_EQ(kernel_->request(FUSE_CREATE, 1, FakeKernel::bytes_of(in, "f")).error, EEXIST);
}

TEST_F(ResentRequests, AnOpenGoesOnWithTheDescriptorThatItHadOpened) {
  std::ofstream(path_ / "f") << "text";
  start({.rights = kAll});
  const auto ino = ino_in(lookup(1, "f"));
  const Reply first = open_file(ino, O_RDONLY);
  ASSERT_EQ(first.error, 0);
  begun(Change::none, "").opened = first.as<fuse_open_out>().fh;
  const Reply again = crash_and_resend(FUSE_OPEN, ino, FakeKernel::bytes_of(fuse_open_in{}));
  ASSERT_EQ(again.error, 0);
  EXPECT_EQ(again.as<fuse_open_out>().fh, first.as<fuse_open_out>().fh);
}

TEST_F(ResentRequests, AnOpenWhoseCallerIsGoneLeavesNoDescriptorBehind) {
  std::ofstream(path_ / "f") << "text";
  start({.rights = kAll});
  const auto ino = ino_in(lookup(1, "f"));
  const Reply first = open_file(ino, O_RDONLY);
  begun(Change::none, "").opened = first.as<fuse_open_out>().fh;
  ASSERT_TRUE(kernel_->restart(survival_));
  while (kernel_->heard()) {
  }
  struct fuse_read_in read{};
  read.fh = first.as<fuse_open_out>().fh;
  read.size = 4;
  EXPECT_EQ(kernel_->request(FUSE_READ, ino, FakeKernel::bytes_of(read)).error, EBADF);
}

TEST_F(ResentRequests, AnAppendThatWasHalfDoneGoesOnWhereItStopped) {
  std::ofstream(path_ / "f") << "one";
  start({.rights = kAll});
  const auto ino = ino_in(lookup(1, "f"));
  const auto handle = open_file(ino, O_WRONLY | O_APPEND).as<fuse_open_out>().fh;
  std::ofstream(path_ / "f", std::ios::app) << "tw";
  JournalRecord& append = begun(Change::append, "");
  append.parent = ino;
  append.size_before = 3;
  append.size = 3;
  struct fuse_write_in in{};
  in.fh = handle;
  in.offset = 3;
  in.size = 3;
  in.flags = O_WRONLY | O_APPEND;
  auto body = FakeKernel::bytes_of(in, "two");
  body.pop_back();
  const Reply again = crash_and_resend(FUSE_WRITE, ino, body);
  EXPECT_EQ(again.error, 0);
  EXPECT_EQ(again.as<fuse_write_out>().size, 3U);
  EXPECT_EQ(std::filesystem::file_size(path_ / "f"), 6U);
  EXPECT_EQ(kernel_->request(FUSE_WRITE, ino, body).error, 0);
  EXPECT_EQ(std::filesystem::file_size(path_ / "f"), 9U);
}

}  // namespace
}  // namespace berth::fuse::test

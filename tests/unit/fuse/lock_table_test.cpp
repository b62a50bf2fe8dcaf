#include "fuse/lock_table.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include <gtest/gtest.h>

#include "broker/base/unique_fd.hpp"

namespace berth::fuse {
namespace {

constexpr InodeKey kFile{1, 10};
constexpr InodeKey kOther{1, 11};
constexpr LockOwner kAnna{.mount = 1, .number = 100, .pid = 1000};
constexpr LockOwner kBert{.mount = 2, .number = 100, .pid = 2000};  // numbers mean something within a mount only
constexpr LockOwner kCara{.mount = 1, .number = 300, .pid = 3000};

struct flock lock_of(short type, off_t start, off_t length) {
  struct flock lock{};
  lock.l_type = type;
  lock.l_start = start;
  lock.l_len = length;
  return lock;
}

void take(LockTable& table, const InodeKey& key, const LockOwner& owner, const struct flock& lock, Handle file = 7) {
  LockTable::Access(table, key).set(owner, file, lock);
}

TEST(LockTable, NamesTheProcessWhoseLockStandsInTheWay) {
  LockTable table;
  take(table, kFile, kAnna, lock_of(F_WRLCK, 0, 10));
  take(table, kFile, kBert, lock_of(F_RDLCK, 20, 10));
  const LockTable::Access access(table, kFile);
  EXPECT_EQ(access.process_of(kCara, lock_of(F_WRLCK, 0, 10)), kAnna.pid);
  EXPECT_EQ(access.process_of(kCara, lock_of(F_RDLCK, 20, 10)), kBert.pid);
  EXPECT_EQ(access.process_of(kAnna, lock_of(F_WRLCK, 0, 10)), 0);
}

TEST(LockTable, ReadersDoNotStandInTheWayOfReaders) {
  LockTable table;
  take(table, kFile, kAnna, lock_of(F_RDLCK, 0, 0));
  const LockTable::Access access(table, kFile);
  EXPECT_TRUE(access.in_the_way(kBert, lock_of(F_RDLCK, 5, 5)).empty());
  EXPECT_EQ(access.in_the_way(kBert, lock_of(F_WRLCK, 5, 5)).size(), 1U);
}

TEST(LockTable, AnUnlockInTheMiddleLeavesBothSides) {
  LockTable table;
  take(table, kFile, kAnna, lock_of(F_WRLCK, 0, 30));
  take(table, kFile, kAnna, lock_of(F_UNLCK, 10, 10));
  const LockTable::Access access(table, kFile);
  EXPECT_FALSE(access.in_the_way(kBert, lock_of(F_RDLCK, 0, 10)).empty());
  EXPECT_TRUE(access.in_the_way(kBert, lock_of(F_RDLCK, 10, 10)).empty());
  EXPECT_FALSE(access.in_the_way(kBert, lock_of(F_RDLCK, 29, 1)).empty());
}

TEST(LockTable, WhatAClosedDescriptionHadIsToldFromWhatItsSuccessorHas) {
  LockTable table;
  take(table, kFile, kAnna, lock_of(F_WRLCK, 0, 10), 7);
  take(table, kFile, kAnna, lock_of(F_WRLCK, 5, 10), 8);  // the same number, given again
  const LockTable::Access access(table, kFile);
  const auto old = access.made_through(kAnna.mount, 7);
  ASSERT_EQ(old.size(), 1U);
  ASSERT_EQ(old[0].ranges.size(), 1U);
  EXPECT_EQ(old[0].ranges[0].last, 4);
}

TEST(LockTable, AFileHas512LocksAndNoMore) {
  LockTable table;
  LockTable::Access access(table, kFile);
  for (int i = 0; i < 512; ++i) {
    const auto lock = lock_of(F_WRLCK, i * 10, 5);
    ASSERT_TRUE(access.admit(i % 2 == 0 ? kAnna : kBert, lock).has_value());
    access.set(i % 2 == 0 ? kAnna : kBert, 7, lock);
  }
  EXPECT_EQ(access.admit(kCara, lock_of(F_WRLCK, 9000, 5)), refuse(ENOLCK));
  EXPECT_EQ(access.admit(kAnna, lock_of(F_RDLCK, 2, 1)), refuse(ENOLCK));  // would be three
  EXPECT_TRUE(access.admit(kAnna, lock_of(F_WRLCK, 0, 8)).has_value());    // is still one
  EXPECT_TRUE(access.admit(kAnna, lock_of(F_UNLCK, 2, 1)).has_value());
  access.drop(kBert);
  EXPECT_TRUE(access.admit(kCara, lock_of(F_WRLCK, 9000, 5)).has_value());
}

TEST(LockTable, AMountHas65536LocksAndNoMore) {
  LockTable table;
  for (std::uint64_t file = 0; file < 128; ++file) {
    for (int i = 0; i < 512; ++i) take(table, {2, file}, kAnna, lock_of(F_WRLCK, i * 10, 5));
  }
  EXPECT_EQ(LockTable::Access(table, kOther).admit(kAnna, lock_of(F_WRLCK, 0, 1)), refuse(EDQUOT));
  EXPECT_TRUE(LockTable::Access(table, kOther).admit(kBert, lock_of(F_WRLCK, 0, 1)).has_value());
  table.drop_mount(kAnna.mount);
  EXPECT_TRUE(LockTable::Access(table, kOther).admit(kAnna, lock_of(F_WRLCK, 0, 1)).has_value());
}

TEST(LockTable, ACircleOfWaitsIsRefusedToTheLast) {
  LockTable table;
  const auto whole = lock_of(F_WRLCK, 0, 0);
  take(table, kFile, kAnna, whole);
  take(table, kOther, kBert, whole);
  const auto first = table.begin_waiting(kOther, kAnna, whole);
  ASSERT_TRUE(first.has_value());
  EXPECT_FALSE(table.waits_in_vain(*first));
  EXPECT_EQ(table.begin_waiting(kFile, kBert, whole).error(), Errno{EDEADLK});
  const auto third = table.begin_waiting(kFile, kCara, whole);  // waits for both, and nobody for her
  EXPECT_TRUE(third.has_value());
  table.end_waiting(*first);
  EXPECT_TRUE(table.begin_waiting(kFile, kBert, whole).has_value());
}

TEST(LockTable, AProcessIsTheSameOnBothOfItsMounts) {
  LockTable table;
  const auto whole = lock_of(F_WRLCK, 0, 0);
  const LockOwner anna_elsewhere{.mount = 2, .number = 77, .pid = kAnna.pid};
  take(table, kFile, anna_elsewhere, whole);
  take(table, kOther, kBert, whole);
  ASSERT_TRUE(table.begin_waiting(kOther, kAnna, whole).has_value());
  EXPECT_EQ(table.begin_waiting(kFile, kBert, whole).error(), Errno{EDEADLK});
}

TEST(LockTable, WhatAProcessHoldsThroughAnotherMountIsNoCircle) {
  LockTable table;
  const auto whole = lock_of(F_WRLCK, 0, 0);
  take(table, kFile, {.mount = 2, .number = 77, .pid = kAnna.pid}, whole);
  EXPECT_TRUE(table.begin_waiting(kFile, kAnna, whole).has_value());
}

TEST(LockTable, ReadsBackWhatLiesOnADescriptor) {
  std::string name = "/tmp/berth-locks-XXXXXX";
  const UniqueFd file(mkstemp(name.data()));
  unlink(name.c_str());
  struct flock read = lock_of(F_RDLCK, 10, 5);
  struct flock write = lock_of(F_WRLCK, 100, 0);
  ASSERT_EQ(fcntl(file.get(), F_OFD_SETLK, &read), 0);
  ASSERT_EQ(fcntl(file.get(), F_OFD_SETLK, &write), 0);
  const auto locks = locks_on(file.get());
  ASSERT_EQ(locks.size(), 2U);
  EXPECT_EQ(locks[0].l_type, F_RDLCK);
  EXPECT_EQ(locks[0].l_start, 10);
  EXPECT_EQ(locks[0].l_len, 5);
  EXPECT_EQ(locks[1].l_type, F_WRLCK);
  EXPECT_EQ(locks[1].l_start, 100);
  EXPECT_EQ(locks[1].l_len, 0);
}

}  // namespace
}  // namespace berth::fuse

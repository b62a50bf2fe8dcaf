#include "fuse/lock_waiters.hpp"

#include <cerrno>
#include <vector>

#include <gtest/gtest.h>

namespace berth::fuse {
namespace {

struct Record {
  bool free = false;
  int attempts = 0;
  std::vector<int> given_up;

  LockWaiters::Waiter waiter(InodeKey key, MountNumber mount = 1) {
    return {key, mount,
            [this] {
              ++attempts;
              return free;
            },
            [this](int error) { given_up.push_back(error); }};
  }
};

constexpr InodeKey kFile{1, 10};
constexpr InodeKey kOther{1, 11};

TEST(LockWaiters, AWaiterIsTriedOnceWhenArmedForTheLockMayHaveBeenLetGo) {
  LockWaiters waiters;
  Record record;
  record.free = true;
  waiters.arm(waiters.add(record.waiter(kFile)));
  EXPECT_EQ(record.attempts, 1);
  EXPECT_TRUE(waiters.empty());
}

TEST(LockWaiters, OnlyWaitersOfTheInodeAreWoken) {
  LockWaiters waiters;
  Record record;
  waiters.arm(waiters.add(record.waiter(kFile)));
  record.free = true;
  waiters.wake(kOther);
  EXPECT_EQ(record.attempts, 1);
  waiters.wake(kFile);
  EXPECT_EQ(record.attempts, 2);
  EXPECT_TRUE(waiters.empty());
}

TEST(LockWaiters, AnUnarmedWaiterIsNeverTried) {
  LockWaiters waiters;
  Record record;
  waiters.add(record.waiter(kFile));
  waiters.wake(kFile);
  waiters.wake_all();
  EXPECT_EQ(record.attempts, 0);
}

TEST(LockWaiters, AnInterruptEndsTheWaitOnce) {
  LockWaiters waiters;
  Record record;
  const auto token = waiters.add(record.waiter(kFile));
  waiters.arm(token);
  waiters.interrupt(token);
  waiters.interrupt(token);
  EXPECT_EQ(record.given_up, std::vector<int>{EINTR});
}

TEST(LockWaiters, AnInterruptBeforeArmingEndsTheWaitWhenArmed) {
  LockWaiters waiters;
  Record record;
  const auto token = waiters.add(record.waiter(kFile));
  waiters.interrupt(token);
  EXPECT_TRUE(record.given_up.empty());
  waiters.arm(token);
  EXPECT_EQ(record.given_up, std::vector<int>{EINTR});
  EXPECT_EQ(record.attempts, 0);
}

TEST(LockWaiters, TheWaitersOfAMountThatEndsAreToldSo) {
  LockWaiters waiters;
  Record here;
  Record there;
  waiters.arm(waiters.add(here.waiter(kFile, 1)));
  waiters.arm(waiters.add(there.waiter(kFile, 2)));
  waiters.drop_mount(1);
  EXPECT_EQ(here.given_up, std::vector<int>{ENOTCONN});
  EXPECT_TRUE(there.given_up.empty());
  EXPECT_FALSE(waiters.empty());
}

}  // namespace
}  // namespace berth::fuse

// POSIX locks and flock(2).
#include <sys/file.h>

#include <cstdint>
#include <functional>

#include "fuse/identity.hpp"
#include "fuse/ops_common.hpp"

namespace berth::fuse {
namespace {

void interrupt_waiter(fuse_req_t req, void* token) {
  mount_of(req).common().waiters.interrupt(reinterpret_cast<LockWaiters::Token>(token));
}

// Tries again whenever a lock of the inode is let go, until it succeeds, fails for good or the caller is interrupted.
template <class Try>
void wait_for_lock(fuse_req_t req, Ino ino, Try try_lock, const std::function<void()>& ended = [] {}) {
  Mount& mount = mount_of(req);
  LockWaiters& waiters = mount.common().waiters;
  Journal& journal = mount.common().journal;
  const auto attempt = [req, try_lock, ended, &journal, number = mount.number(), unique = mount.current_unique()] {
    const Answer<> got = try_lock();
    if (!got && got.error() == Errno{EAGAIN}) return false;
    journal.waits_no_more(number, unique);
    ended();
    reply(req, got);
    return true;
  };
  const auto give_up = [req, ended, &journal, number = mount.number(), unique = mount.current_unique()](int errno_value) {
    journal.waits_no_more(number, unique);
    ended();
    fuse_reply_err(req, errno_value);
  };
  journal.waits(mount.number(), Journal::current_request());
  const auto token = waiters.add({mount.key_of(ino), mount.number(), attempt, give_up});
  const pid_t caller = fuse_req_ctx(req)->pid;
  fuse_req_interrupt_func(req, interrupt_waiter, reinterpret_cast<void*>(token));
  waiters.arm(token);  // from here on the request may be answered
  // The kernel tells of a signal where it came before the request was sent, but not where that was over a ring.
  if (mount.over_ring() && has_signal(caller)) waiters.interrupt(token);
}

// POSIX locks: a wait that would go round in a circle is refused.
template <class Try>
void wait_for_range(fuse_req_t req, Ino ino, std::uint64_t owner, const struct flock& wanted, Try try_lock) {
  Mount& mount = mount_of(req);
  LockTable& locks = mount.common().locks;
  const auto wait = mount.files().begin_waiting(ino, owner, wanted);
  if (!wait) return reply_errno(req, wait.error());
  const auto try_or_refuse = [&locks, try_lock, wait = *wait]() -> Answer<> {
    Answer<> got = try_lock();
    if (!got && got.error() == Errno{EAGAIN} && locks.waits_in_vain(wait)) return refuse(EDEADLK);
    return got;
  };
  wait_for_lock(req, ino, try_or_refuse, [&locks, wait = *wait] { locks.end_waiting(wait); });
}

void op_setlk(fuse_req_t req, fuse_ino_t ino, FileInfo* info, struct flock* lock, int sleep) {
  Mount& mount = mount_of(req);
  const auto try_lock = [&mount, ino, owner = info->lock_owner, file = info->fh, wanted = *lock] {
    return mount.files().set_lock(ino, owner, file, wanted);
  };
  const Answer<> got = try_lock();
  if (!got && got.error() == Errno{EAGAIN} && sleep != 0) return wait_for_range(req, ino, info->lock_owner, *lock, try_lock);
  const bool lets_go = got && lock->l_type != F_WRLCK;
  reply(req, got);
  if (lets_go) mount.common().waiters.wake(mount.key_of(ino));
}

void op_getlk(fuse_req_t req, fuse_ino_t ino, FileInfo* info, struct flock* lock) {
  const auto found = mount_of(req).files().get_lock(ino, info->lock_owner, *lock);
  if (!found) return reply_errno(req, found.error());
  fuse_reply_lock(req, &*found);
}

void op_flock(fuse_req_t req, fuse_ino_t ino, FileInfo* info, int operation) {
  Mount& mount = mount_of(req);
  const auto try_lock = [&mount, handle = info->fh, operation] { return mount.files().set_flock(handle, operation); };
  const Answer<> got = try_lock();
  const bool waits = (operation & LOCK_NB) == 0;
  if (!got && got.error() == Errno{EAGAIN} && waits) return wait_for_lock(req, ino, try_lock);
  const bool lets_go = got && (operation & LOCK_EX) == 0;
  reply(req, got);
  if (lets_go) mount.common().waiters.wake(mount.key_of(ino));
}

}  // namespace

void add_lock_operations(struct fuse_lowlevel_ops& ops) {
  ops.setlk = op_setlk;
  ops.getlk = op_getlk;
  ops.flock = op_flock;
}

}  // namespace berth::fuse

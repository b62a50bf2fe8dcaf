#include "fuse/lock_waiters.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace berth::fuse {

LockWaiters::Token LockWaiters::add(Waiter waiter) {
  const std::scoped_lock lock(mutex_);
  entries_.push_back({next_, std::move(waiter)});
  return next_++;
}

void LockWaiters::arm(Token token) {
  const std::scoped_lock lock(mutex_);
  const auto found = std::ranges::find(entries_, token, &Entry::token);
  if (found == entries_.end()) return;
  found->armed = true;
  // The lock may have been let go since the caller tried.
  if (found->interrupted) {
    found->waiter.give_up(EINTR);
  } else if (!found->waiter.attempt()) {
    return;
  }
  entries_.erase(found);
}

void LockWaiters::interrupt(Token token) {
  const std::scoped_lock lock(mutex_);
  const auto found = std::ranges::find(entries_, token, &Entry::token);
  if (found == entries_.end()) return;
  found->interrupted = true;
  if (!found->armed) return;
  found->waiter.give_up(EINTR);
  entries_.erase(found);
}

void LockWaiters::wake(const InodeKey& key) {
  const std::scoped_lock lock(mutex_);
  std::erase_if(entries_, [&](Entry& e) { return e.armed && e.waiter.key == key && e.waiter.attempt(); });
}

void LockWaiters::wake_all() {
  const std::scoped_lock lock(mutex_);
  std::erase_if(entries_, [](Entry& e) { return e.armed && e.waiter.attempt(); });
}

void LockWaiters::drop_mount(MountNumber mount) {
  const std::scoped_lock lock(mutex_);
  std::erase_if(entries_, [mount](Entry& e) {
    if (e.waiter.mount != mount) return false;
    e.waiter.give_up(ENOTCONN);
    return true;
  });
}

bool LockWaiters::empty() const {
  const std::scoped_lock lock(mutex_);
  return entries_.empty();
}

}  // namespace berth::fuse

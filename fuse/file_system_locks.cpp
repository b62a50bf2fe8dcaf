// POSIX locks and flock(2).
#include <sys/file.h>
#include <unistd.h>

#include <limits>
#include <utility>

#include <fmt/format.h>

#include "fuse/file_system.hpp"

namespace berth::fuse {

// As the daemon: the kernel has checked that the caller's own descriptor allows the lock.
Answer<UniqueFd> FileSystem::open_for_locks(Ino ino) {
  const InodeRecord* record = inodes_.record(ino);
  if (record == nullptr) return refuse(ESTALE);
  if (record->type != S_IFREG) return refuse(EINVAL);
  const auto inode = inodes_.reach(ino);
  if (!inode) return refuse(inode.error());
  const std::string name = fmt::format("{}", inode->fd());
  UniqueFd file(openat(descriptors_.get(), name.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
  // A program that runs: read locks are all it can have.
  if (!file && errno == ETXTBSY) file.reset(openat(descriptors_.get(), name.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!file) return refuse_last();
  return file;
}

// Under the inode's Access.
Answer<Handle> FileSystem::lock_handle(Ino ino, std::uint64_t owner, Handle of_file) {
  if (const Handle known = opens_.lock_handle(ino, owner); known != 0) return known;
  auto file = open_for_locks(ino);
  if (!file) return refuse(file.error());
  inodes_.opened(file->get());
  return opens_.add_lock_owner(std::move(*file), ino, owner, of_file);
}

Answer<> FileSystem::set_lock(Ino ino, std::uint64_t owner, Handle file, struct flock lock) {
  const InodeRecord* record = inodes_.record(ino);
  if (record == nullptr) return refuse(ESTALE);
  const LockOwner who{inodes_.mount(), owner, lock.l_pid};
  LockTable::Access access(locks_, {record->device, record->number});
  if (lock.l_type == F_UNLCK && opens_.lock_handle(ino, owner) == 0) return {};
  if (auto admitted = access.admit(who, lock); !admitted) return admitted;
  const auto handle = lock_handle(ino, owner, file);
  if (!handle) return refuse(handle.error());
  OpenRecord* open = opens_.find(*handle, OpenKind::lock);
  if (open == nullptr) return refuse(EBADF);
  if (lock.l_type != F_UNLCK) open->pid = lock.l_pid;
  lock.l_pid = 0;  // open file description locks want it so
  if (fcntl(fd_of(*open), F_OFD_SETLK, &lock) != 0) return refuse_last();
  access.set(who, file, lock);
  return {};
}

Answer<struct flock> FileSystem::get_lock(Ino ino, std::uint64_t owner, struct flock lock) {
  const InodeRecord* record = inodes_.record(ino);
  if (record == nullptr) return refuse(ESTALE);
  const LockTable::Access access(locks_, {record->device, record->number});
  UniqueFd asks;  // an owner without locks asks with a descriptor of the moment
  const OpenRecord* open = opens_.find(opens_.lock_handle(ino, owner), OpenKind::lock);
  if (open == nullptr) {
    auto opened = open_for_locks(ino);
    if (!opened) return refuse(opened.error());
    asks = std::move(*opened);
  }
  lock.l_pid = 0;
  const auto asked = answer(fcntl(open == nullptr ? asks.get() : fd_of(*open), F_OFD_GETLK, &lock));
  if (!asked) return refuse(asked.error());
  if (lock.l_pid < 0) lock.l_pid = access.process_of({inodes_.mount(), owner, 0}, lock);  // a descriptor, here or elsewhere
  return lock;
}

bool FileSystem::drop_locks(Ino ino, std::uint64_t owner) {
  if (opens_.lock_handle(ino, owner) == 0) return false;
  const InodeRecord* record = inodes_.record(ino);
  if (record == nullptr) return false;
  LockTable::Access access(locks_, {record->device, record->number});
  access.drop({inodes_.mount(), owner, 0});
  opens_.close(opens_.lock_handle(ino, owner));
  return true;
}

// The kernel may have given the number of a description that is closed to a new one already: what the old one had must go, and
// what the new one has must stay.
bool FileSystem::drop_locks_of(Handle file) {
  const OpenRecord* closing = opens_.find(file, OpenKind::file);
  if (closing == nullptr || !opens_.locked(closing->ino)) return false;
  const Ino ino = closing->ino;
  const InodeRecord* record = inodes_.record(ino);
  if (record == nullptr) return false;
  LockTable::Access access(locks_, {record->device, record->number});
  const auto held = access.made_through(inodes_.mount(), file);
  for (const LockTable::Holder& holder : held) unlock(access, ino, holder);
  auto owners = opens_.lock_owners_of(ino, file);
  for (const LockTable::Holder& holder : held) owners.push_back(holder.owner.number);
  for (const std::uint64_t owner : owners) {
    if (!access.holds_any({inodes_.mount(), owner, 0})) opens_.close(opens_.lock_handle(ino, owner));
  }
  return !owners.empty();
}

void FileSystem::unlock(LockTable::Access& access, Ino ino, const LockTable::Holder& holder) {
  const OpenRecord* open = opens_.find(opens_.lock_handle(ino, holder.owner.number), OpenKind::lock);
  for (const LockRange& range : holder.ranges) {
    struct flock lock{};
    lock.l_type = F_UNLCK;
    lock.l_start = range.first;
    lock.l_len = range.last == std::numeric_limits<off_t>::max() ? 0 : range.last - range.first + 1;
    if (open != nullptr) fcntl(fd_of(*open), F_OFD_SETLK, &lock);
    access.set(holder.owner, range.file, lock);
  }
}

Answer<LockTable::Wait> FileSystem::begin_waiting(Ino ino, std::uint64_t owner, const struct flock& lock) {
  const InodeRecord* record = inodes_.record(ino);
  if (record == nullptr) return refuse(ESTALE);
  return locks_.begin_waiting({record->device, record->number}, {inodes_.mount(), owner, lock.l_pid}, lock);
}

Answer<> FileSystem::set_flock(Handle handle, int operation) {
  const auto fd = descriptor(handle, false);
  if (!fd) return refuse(fd.error());
  if (flock(*fd, operation | LOCK_NB) == 0) return {};
  return refuse_last();
}

}  // namespace berth::fuse

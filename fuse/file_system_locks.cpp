// POSIX locks and flock(2).
#include <sys/file.h>
#include <unistd.h>

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

Answer<Handle> FileSystem::lock_handle(Ino ino, std::uint64_t owner, Handle of_file) {
  const std::scoped_lock lock(lock_handles_mutex_);
  if (const Handle known = opens_.lock_handle(ino, owner); known != 0) return known;
  auto file = open_for_locks(ino);
  if (!file) return refuse(file.error());
  return opens_.add_lock_owner(std::move(*file), ino, owner, of_file);
}

Answer<> FileSystem::set_lock(Ino ino, std::uint64_t owner, Handle file, struct flock lock) {
  if (lock.l_type == F_UNLCK && opens_.lock_handle(ino, owner) == 0) return {};
  const auto handle = lock_handle(ino, owner, file);
  if (!handle) return refuse(handle.error());
  OpenRecord* open = opens_.find(*handle, OpenKind::lock);
  if (open == nullptr) return refuse(EBADF);
  open->pid = lock.l_pid;
  lock.l_pid = 0;  // open file description locks want it so
  return answer(fcntl(fd_of(*open), F_OFD_SETLK, &lock));
}

Answer<struct flock> FileSystem::get_lock(Ino ino, std::uint64_t owner, struct flock lock) {
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
  if (lock.l_pid < 0) lock.l_pid = opens_.other_lock_user(ino, owner);  // the holder is a descriptor, here or elsewhere
  return lock;
}

bool FileSystem::drop_locks(Ino ino, std::uint64_t owner) {
  const Handle handle = opens_.lock_handle(ino, owner);
  if (handle == 0) return false;
  opens_.close(handle);
  return true;
}

bool FileSystem::drop_locks_of(Handle file) {
  const std::vector<Handle> handles = opens_.lock_handles_of(file);
  for (const Handle handle : handles) opens_.close(handle);
  return !handles.empty();
}

Answer<> FileSystem::set_flock(Handle handle, int operation) {
  const auto fd = descriptor(handle, false);
  if (!fd) return refuse(fd.error());
  if (flock(*fd, operation | LOCK_NB) == 0) return {};
  return refuse_last();
}

}  // namespace berth::fuse

// What lsattr and chattr ask for, and statx.
#include <linux/fs.h>
#include <sys/ioctl.h>

#include <cstring>

#include "fuse/file_system.hpp"

namespace berth::fuse {
namespace {

template <class Value>
std::string bytes_of(const Value& value) {
  return {reinterpret_cast<const char*>(&value), sizeof(value)};
}

// Flags are an int to the kernel, whatever the command's number says.
Answer<std::string> read_number(int fd, unsigned long command) {
  int value = 0;
  if (ioctl(fd, command, &value) != 0) return refuse_last();
  return bytes_of(value);
}

}  // namespace

Answer<std::string> FileSystem::control(const Caller& caller, Handle handle, unsigned command, std::string_view input) {
  const OpenRecord* open = opens_.find(handle, OpenKind::file);
  if (open == nullptr) open = opens_.find(handle, OpenKind::directory);
  if (open == nullptr) return refuse(EBADF);
  const int fd = fd_of(*open);
  switch (command) {
    case FS_IOC_GETFLAGS:
    case FS_IOC_GETVERSION: return read_number(fd, command);
    case FS_IOC_FSGETXATTR: {
      struct fsxattr attributes{};
      if (ioctl(fd, FS_IOC_FSGETXATTR, &attributes) != 0) return refuse_last();
      return bytes_of(attributes);
    }
    case FS_IOC_SETFLAGS: break;
    default: return refuse(ENOTTY);
  }
  int flags = 0;
  if (input.size() < sizeof(flags)) return refuse(EINVAL);
  std::memcpy(&flags, input.data(), sizeof(flags));
  if (auto allowed = may_write(); !allowed) return refuse(allowed.error());
  const auto set = run_as(grant_.identity_of(caller), caller.pid, [&] { return answer(ioctl(fd, FS_IOC_SETFLAGS, &flags)); });
  if (!set) return refuse(set.error());
  if (Node* node = inodes_.node(open->ino)) coherence_.attributes_changed(*node, kNoMount);
  return std::string{};
}

Answer<ExtendedAttributes> FileSystem::extended_attributes(Ino ino, Handle handle, unsigned mask) {
  const OpenRecord* open = opens_.find(handle, OpenKind::file);
  ExtendedAttributes found;
  const auto inode = inodes_.reach(ino);
  if (open == nullptr && !inode) return refuse(inode.error());
  const int fd = open != nullptr ? fd_of(*open) : inode->fd();
  if (statx(fd, "", AT_EMPTY_PATH, mask | STATX_BASIC_STATS, &found.values) != 0) return refuse_last();
  const auto plain = attributes(ino, handle);
  if (plain) found.trust = plain->trust;
  return found;
}

}  // namespace berth::fuse

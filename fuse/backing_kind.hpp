// BackingKind: what the kind of a file system (statfs(2)'s f_type) tells of it, where trying it out would not.
#pragma once

#include <optional>

namespace berth::fuse {

class BackingKind {
 public:
  // Of what `fd` (O_PATH will do) stands for; nullopt with errno where the kernel does not say.
  static std::optional<BackingKind> of(int fd);

  // A file handle opens its inode after the kernel has dropped it from memory, too. Behind FUSE most servers can't find it again
  // (ESTALE), nor can FAT.
  bool keeps_handles() const;
  // Opening a file is allowed or refused by the file system or its server, not by mode bits in this kernel. In passthrough the
  // kernel opens the backing file as the program that asks, who need not be the one that the mount acts as.
  bool decides_opens() const;
  // No other inode gets the number of one for which a descriptor is open. A server that does not know of the descriptor may give
  // it away; then only the handle tells one from the other.
  bool keeps_numbers() const;
  // A file that loses its last name while any descriptor (O_PATH too) stands for it only gets another name in the same directory
  // (`.nfs...`), until the descriptor is closed.
  bool renames_held_files() const;
  // Nobody but this machine's kernel changes it, which reports every change (fanotify(7)).
  bool reports_all_changes() const;
  // Each change of a directory that was looked at gets a time of its own (Linux 6.13).
  bool times_each_change() const;

 private:
  explicit BackingKind(unsigned long type) : type_(type) {}
  unsigned long type_;
};

}  // namespace berth::fuse

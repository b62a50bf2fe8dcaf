// What a file's attributes say that must be the same on both sides; tree comparison.
#pragma once

#include <sys/stat.h>

#include <map>
#include <string>
#include <string_view>

namespace berth::parity {

// All but device, inode number and times, which are told apart only as "set by a program" (then exactly) or "by the clock".
std::string text_of(const struct stat& attributes, bool access_time);

// Which times of an inode have changed since it was last looked at by this path. Needs a clock so fine that each change
// after a look shows (fine_clock).
class ChangedTimes {
 public:
  // "" for what is not there or was another inode before; else a letter for each of mtime and ctime that is another.
  std::string look(const std::string& path);

 private:
  std::map<std::string, struct stat> before_;
};

// True where the file system below `directory` gives every change after a stat a time of its own (Linux 6.13).
bool fine_clock(const std::string& directory);

// An NFS client's name for a file that was removed while it was open, which nobody counts on.
inline bool is_removed_on_nfs(std::string_view name) { return name.starts_with(".nfs"); }

// The whole tree: names, attributes, contents, link targets, and which names are one inode.
std::string snapshot(const std::string& root, bool access_times);

}  // namespace berth::parity

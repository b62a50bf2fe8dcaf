// Directories of a tree opened without leaving it, and the room beside it in which things are made and taken apart.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "broker/base/error.hpp"
#include "broker/base/unique_fd.hpp"

namespace berth::fuse::replica {

// Opens `path` ("a/b", or "" for the directory itself) below `root`: no symbolic link is followed and no mount crossed on the way
// (ELOOP, EXDEV). Paths may be longer than PATH_MAX. -1 with errno where it fails.
UniqueFd open_beneath(int root, const std::string& path, int flags);

// All names in a directory but . and ..
Result<std::vector<std::string>> list_names(int directory);

// Which source directory a directory is the copy of: its inode number, kept in an extended attribute, which no client of a share
// sees. A directory that took another one's place brings old files along that nothing else tells apart. The stamp also names the
// directory that it was put on: one that was copied along with it, to another disk, says nothing.
class Stamp {
 public:
  // nullopt: none of this directory, or the file system has no extended attributes.
  static std::optional<std::uint64_t> read(int directory);
  // False: the file system has none.
  static bool write(int directory, std::uint64_t source);
};

class Staging {
 public:
  // Made where it is missing; what an earlier pass left in it goes.
  static Result<Staging> open(const std::string& path);

  int directory() const { return directory_.get(); }
  std::string fresh_name() { return "n" + std::to_string(++last_); }
  // Removes a name of the staging directory with all that is below, however deep.
  Result<> destroy(const std::string& name);
  // Takes a name of another directory away at once, then destroys it. What is gone already is fine.
  Result<> take_away(int directory, const std::string& name);
  // Removes the staging directory itself.
  void close();

 private:
  Result<> empty(const std::string& name, std::vector<std::string>& found);

  std::string path_;
  UniqueFd directory_;
  std::uint64_t last_ = 0;
};

}  // namespace berth::fuse::replica

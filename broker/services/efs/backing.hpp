// Where the bytes of the file systems are: one directory each below one directory of the state directory.
//
//   <state>/file-systems/fs-0123456789abcdef0/          the file system's root
//   <state>/file-systems/.deleted-fs-0123456789abcdef0/ on its way out
//   <state>/file-systems/.replica-fs-0123456789abcdef0/ what a replication makes before it puts it into the file system
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "broker/base/error.hpp"
#include "fuse/catalog.hpp"
#include "fuse/replica/tree_sync.hpp"

namespace berth::services::efs {

// Bytes on disk (allocated blocks, a hard link once).
struct Sizes {
  std::uint64_t total = 0;
  std::map<std::string, std::uint64_t> directories;  // "/teams/red": with all that is below
};

// What the service needs done on the disk; called without the control lock. Each accepts what is done already.
struct Backing {
  std::function<Result<>(const fuse::FileSystemId&)> make;
  std::function<Result<>(const fuse::FileSystemId&)> remove;
  // Walks the whole tree. Directories right below the root are told apart, and those of `roots`, at most four levels deep.
  std::function<Result<Sizes>(const fuse::FileSystemId&, const std::set<std::string>& roots)> measure;
};

// The real one.
Backing directories_below(const std::string& parent);
// The directory that `directories_below(parent)` makes for `id`; also what a mount of the share serves.
std::string backing_directory(const std::string& parent, const fuse::FileSystemId& id);

// One pass of a replication between two of them.
Result<fuse::replica::Report> replicate_below(const std::string& parent, const fuse::FileSystemId& source,
                                              const fuse::FileSystemId& destination, std::optional<TimePoint> since,
                                              fuse::replica::Progress& progress);

}  // namespace berth::services::efs

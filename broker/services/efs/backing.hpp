// Where the bytes of the file systems are: one directory each below one directory of the state directory.
//
//   <state>/file-systems/fs-0123456789abcdef0/          the file system's root
//   <state>/file-systems/.deleted-fs-0123456789abcdef0/ on its way out
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "broker/base/error.hpp"
#include "fuse/catalog.hpp"

namespace berth::services::efs {

// What the service needs done on the disk; called without the control lock. Each accepts what is done already.
struct Backing {
  std::function<Result<>(const fuse::FileSystemId&)> make;
  std::function<Result<>(const fuse::FileSystemId&)> remove;
  // Bytes of all files (allocated blocks, a hard link once); walks the whole tree.
  std::function<Result<std::uint64_t>(const fuse::FileSystemId&)> measure;
};

// The real one.
Backing directories_below(std::string parent);
// The directory that `directories_below(parent)` makes for `id`; also what a mount of the share serves.
std::string backing_directory(const std::string& parent, const fuse::FileSystemId& id);

}  // namespace berth::services::efs

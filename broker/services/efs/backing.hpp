// What the EFS service needs done on the disks.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "broker/base/error.hpp"
#include "broker/services/efs/places.hpp"
#include "fuse/catalog.hpp"
#include "fuse/replica/tree_sync.hpp"

namespace berth::services::efs {

// Bytes on disk (allocated blocks, a hard link once).
struct Sizes {
  std::uint64_t total = 0;
  std::map<std::string, std::uint64_t> directories;  // "/teams/red": with all that is below
};

// Called without the control lock. Each accepts what is done already.
struct Backing {
  // In the place of this name (Places::make); empty: in the state directory.
  std::function<Result<>(const fuse::FileSystemId&, const std::string& place)> make;
  std::function<Result<>(const fuse::FileSystemId&)> remove;
  // Walks the whole tree. Directories right below the root are told apart, and those of `roots`, at most four levels deep.
  std::function<Result<Sizes>(const fuse::FileSystemId&, const std::set<std::string>& roots)> measure;
};

// The real one.
Backing directories_in(const Places& places);

// One pass of a replication between two of them.
Result<fuse::replica::Report> replicate_in(const Places& places, const fuse::FileSystemId& source,
                                           const fuse::FileSystemId& destination, std::optional<TimePoint> since,
                                           fuse::replica::Progress& progress);

}  // namespace berth::services::efs

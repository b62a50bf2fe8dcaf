// BackingTraits: what a directory's file system can't do of what the share asks of it; found out by doing it there.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "broker/base/error.hpp"

namespace berth::fuse {

struct BackingTraits {
  struct Lack {
    std::string_view what;     // "file handles"
    std::string_view meaning;  // for who uses a file system there; one sentence without its end
  };

  std::string type;  // as /proc/self/mountinfo has it: "ext4", "nfs4", "fuse.glusterfs"
  std::vector<Lack> lacks;
};

// Makes a directory `.berth-probe-*` in `directory`, tries everything in it, and removes it: some milliseconds on a disk. As
// root. Fails with Code::failed_precondition, and what to do, where a file system can't be kept there at all: where files do not
// belong to whom they are given, where names, links or locks are refused.
Result<BackingTraits> look_at_backing(const std::string& directory);

}  // namespace berth::fuse

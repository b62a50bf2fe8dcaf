// HostCover: a layer that lies over the host's root in `host` images and hides what a task must not see. Directories become empty
// (overlayfs' "opaque"), files become empty files. As the layer is below the container's own and above the host's, nothing that
// a container does uncovers anything.
#pragma once

#include <string>
#include <vector>

#include "broker/base/error.hpp"
#include "broker/runtime/mounts.hpp"

namespace berth::runtime {

struct HostCover {
  std::string layer;                      // directory: the overlay's upper of the two lowers
  std::vector<std::string> bound_mounts;  // other file systems of the host with programs on them: bound read-only
};

// What is hidden on every host, before links are resolved; may hold patterns for glob(7).
std::vector<std::string> hidden_by_default();

// What of the host's mounts an image shows and what it hides: an overlay of / doesn't hold the mounts below it, but would show
// what lies under them.
struct MountPlan {
  std::vector<std::string> bind, hide;
};
MountPlan plan_mounts(const std::vector<MountEntry>& mounts);

// Builds the layer in the (empty) directory `layer` on a file system with extended attributes `trusted.*`.
Result<HostCover> make_host_cover(const std::string& layer, const std::vector<std::string>& hidden_paths);

}  // namespace berth::runtime

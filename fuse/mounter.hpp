// Mounter: makes FUSE mounts that are nowhere yet, and finds or makes the directory that a mount starts at.
#pragma once

#include <string>

#include "broker/base/error.hpp"
#include "broker/base/unique_fd.hpp"
#include "fuse/share.hpp"

namespace berth::fuse {

// A fresh /dev/fuse, not blocking. Code::unavailable with what to do where there is none.
Result<UniqueFd> open_fuse_device();

// The mount behind `device`, detached: not in any namespace until move_mount(2). `check_permissions`: the kernel checks
// mode bits against its caller too.
Result<UniqueFd> make_detached_mount(int device, const MountId& id, bool check_permissions);

// st_dev of the file system that the mount is of; asks the kernel only, never who serves it.
Result<std::uint64_t> device_of_mount(int mount);

// An O_PATH descriptor of spec.root inside spec.backing_directory, walked step by step without following any link; makes
// missing directories where spec.creation says how.
Result<UniqueFd> open_root(const MountSpec& spec);

}  // namespace berth::fuse

// The state of everything as one JSON object: `berth status` and, later, the live page.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "broker/control/control_plane.hpp"
#include "fuse/share.hpp"

namespace berth::daemon {

// Members: zones, clusters, container_instances, instances_without_agent, tasks, file_systems, mounts; each an array of objects.
nlohmann::json status_of(const control::Control& c, const std::vector<fuse::Share::MountStats>& mounts,
                         const fuse::zones::Network& network);

}  // namespace berth::daemon

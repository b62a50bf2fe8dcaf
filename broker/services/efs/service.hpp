// The EFS API (2015-02-01): file systems, mount targets, access points, file system policies, tags.
//
// Decisions are made under the control lock on the catalog; directories are made and removed without it. A file system is
// `creating` until its directory is there and `deleting` until it is gone; settle() finishes what a crash left in between.
#pragma once

#include <functional>

#include "broker/api/operation.hpp"
#include "broker/services/efs/backing.hpp"

namespace berth::control {
class ControlPlane;
}

namespace berth::services::efs {

struct Parts {
  control::ControlPlane& plane;
  Backing backing;
  // Called without the lock after a change that may give or take rights on live mounts. May be empty.
  std::function<void()> access_changed;
};

api::Service make_service(Parts parts);

// Once at start, before the first call is served.
void settle(const Parts& parts);
// Measures every file system (slow: on the blocking pool) and notes its size with the time.
void measure_sizes(const Parts& parts);

}  // namespace berth::services::efs

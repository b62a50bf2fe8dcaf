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
  // The same after a change that may bear on what a file system may drive: its mode, its tags, its size. May be empty.
  std::function<void()> throughput_changed;
  // Whether the file system may have changed since it was last measured; empty: it may.
  std::function<bool(const fuse::FileSystemId&)> may_have_changed;
  // What was measured. May be empty.
  std::function<void(const fuse::FileSystemId&, const Sizes&)> measured;
  // Called without the lock when the replication of this source has been made, or is to be ended. May be empty.
  std::function<void(const fuse::FileSystemId&)> replication_changed;
  // How far the first copy of this source is, for people; "" while nothing is copied. May be empty.
  std::function<std::string(const fuse::FileSystemId&)> replication_progress;
};

api::Service make_service(Parts parts);

// Once at start, before the first call is served.
void settle(const Parts& parts);
// Measures the file systems that may have changed (slow: on a thread that may block) and notes their sizes with the time.
void measure_sizes(const Parts& parts);

}  // namespace berth::services::efs

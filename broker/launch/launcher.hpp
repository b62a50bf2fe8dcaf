// Launcher: turns a placed task into what the runtime carries out, and says what the mounts of a running one may do.
//
// Decides on a snapshot of the control state; what it draws (the endpoint's names) is durable before it answers. Thread-safe.
#pragma once

#include <string>
#include <vector>

#include "broker/base/error.hpp"
#include "broker/control/control_plane.hpp"
#include "broker/launch/grants.hpp"
#include "broker/runtime/task_launch.hpp"
#include "cluster_sim/ids.hpp"

namespace berth::launch {

class Launcher {
 public:
  struct Options {
    std::string file_systems;         // the directory that holds the backing directories: <file_systems>/fs-...
    unsigned front_door_port = 4580;  // as the task sees it, on 169.254.170.2
  };
  Launcher(control::ControlPlane& plane, Options options) : plane_(plane), options_(std::move(options)) {}

  // For cluster_sim::LaunchTask. An Error's message is the stoppedReason of a task that failed to start.
  // Again for the same task: the same answer, but for policies that have changed.
  Result<runtime::TaskLaunch> prepare(const cluster_sim::TaskId& task);

  // What each EFS mount of the task may do by the policies of now: call it again for the live tasks when identities or the
  // catalog have changed. `mount` false: the mount may do nothing (any more).
  struct MountGrant {
    fuse::MountId mount;
    Grant grant;
  };
  std::vector<MountGrant> grants_for(const cluster_sim::TaskId& task) const;

  // The task is gone for good: forgets its endpoint's names.
  void forget(const cluster_sim::TaskId& task);

 private:
  control::ControlPlane& plane_;
  Options options_;
};

}  // namespace berth::launch

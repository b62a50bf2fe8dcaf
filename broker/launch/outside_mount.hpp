// OutsideMount: a mount of a file system that no task asks for: a person's on the host, or another container engine's.
//
// The role's policies and the file system policy decide as for a task in the zone of the mount target; security groups are not
// asked. Texts are for whoever typed the wish, not ECS's.
#pragma once

#include <string>

#include "broker/base/error.hpp"
#include "broker/control/control_plane.hpp"
#include "fuse/share.hpp"

namespace berth::launch {

struct OutsideMount {
  std::string name;  // what messages call it
  std::string file_system;
  std::string root = "/";    // inside it
  std::string access_point;  // fsap-..., or empty
  std::string role_arn;      // empty: without IAM authorization
  std::string zone;          // empty: the first with a mount target, which is then put here
  bool read_only = false;
  bool io_uring = false;  // as MountSpec::io_uring; without it as the file system's tag says
  std::string session;    // of the role: how policies and messages name who mounts
  std::string role_hint;  // how to name a role, for who is denied without one
};

// Code::not_found where there is no such file system, mount target or access point: what can be known without asking a policy.
Result<> check_outside_mount(const control::ControlPlane& plane, OutsideMount& mount);
// The mount that the share is to make, but for its id. Code::permission_denied with what is missing where policies refuse it.
Result<fuse::MountSpec> decide_outside_mount(control::ControlPlane& plane, const std::string& file_systems, OutsideMount& mount);

// The ARN of a role that is named by its name or ARN; Code::not_found where there is none.
Result<std::string> find_role(const control::ControlPlane& plane, const std::string& name_or_arn);

}  // namespace berth::launch

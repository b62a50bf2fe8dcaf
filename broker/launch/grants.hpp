// Grants: what a task's mount of a file system may do, decided from policies.
//
// EFS's rule: a file system without a policy is open to every client that reaches a mount target. One with a policy asks, for
// ClientMount, ClientWrite and ClientRootAccess each, the policies of the client's role and the file system policy together;
// a client that mounts without IAM authorization is anonymous, and only the file system policy speaks of it. The role is the
// task role, never the execution role.
// https://docs.aws.amazon.com/efs/latest/ug/iam-access-control-nfs-efs.html
#pragma once

#include <expected>
#include <map>
#include <optional>
#include <string>

#include "broker/base/clock.hpp"
#include "broker/base/error.hpp"
#include "credentials/authorization.hpp"
#include "fuse/catalog.hpp"
#include "fuse/share.hpp"

namespace berth::launch {

// An EFS volume as a task definition has it.
struct EfsVolume {
  std::string name;
  std::string file_system;   // fs-...
  std::string access_point;  // fsap-..., or empty
  std::string root = "/";
  bool transit_encryption = false;
  bool iam = false;
};

// Who mounts, and from where.
struct MountClient {
  std::string task;      // id
  std::string role_arn;  // the task role; empty: none
  std::string zone, vpc;
  TimePoint now{};
  // EFS never asks this one; only named where it has the right that the task role lacks.
  std::string execution_role_arn;
  // Of a file system's mount target that security groups close to the client: why.
  std::map<std::string, std::string> closed;
  // Of a client that is no task: how to name a role, for who is denied without one. Empty: in the words of a task definition.
  std::string role_hint = {};
};

struct Grant {
  bool mount = false;
  fuse::Rights rights;
  std::string denial;  // why not, where `mount` is false; one sentence
};

Grant decide_grant(const credentials::Identities& identities, const fuse::FileSystemRecord& file_system,
                   const fuse::AccessPointRecord* access_point, const EfsVolume& volume, const MountClient& client);

// A mount that EFS refuses: what the mount helper writes and exits with, and Berth's own explanation.
struct MountRefusal {
  Code code = Code::permission_denied;
  std::string standard_error;
  int exit_code = 0;
  std::string explanation;
  // ECS's stoppedReason, with the explanation behind it.
  std::string stopped_reason() const;
};

// The mount that the share is to make.
std::expected<fuse::MountSpec, MountRefusal> judge_mount(const fuse::Catalog& catalog, const credentials::Identities& identities,
                                                         const EfsVolume& volume, const MountClient& client,
                                                         const std::string& region, const std::string& backing_parent);
// What the root directory's absence is to the client, once the share has looked for it.
MountRefusal missing_root(const EfsVolume& volume, const fuse::MountSpec& spec, const std::string& region);

// The same as judge_mount(); an Error's message is the stopped reason.
Result<fuse::MountSpec> decide_mount(const fuse::Catalog& catalog, const credentials::Identities& identities,
                                     const EfsVolume& volume, const MountClient& client, const std::string& region,
                                     const std::string& backing_parent);

// "<task>/<volume>", shortened where the share's limit of 63 bytes asks for it.
fuse::MountId mount_id(const std::string& task, const std::string& volume);

}  // namespace berth::launch

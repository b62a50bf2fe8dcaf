#include "broker/launch/outside_mount.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "broker/launch/grants.hpp"

namespace berth::launch {
namespace {

using control::Control;

// The records that the decision reads, and the VPC of the mount target.
struct Excerpt {
  fuse::Catalog catalog;
  std::string vpc;
  TimePoint now{};
};

Excerpt excerpt(const Control& c, OutsideMount& mount) {
  Excerpt few{.now = c.now};
  const fuse::FileSystemId id(mount.file_system);
  if (const auto* file_system = c.catalog.find(id)) few.catalog.restore(*file_system);
  const auto targets = c.catalog.mount_targets_of(id);
  const auto first = std::ranges::min_element(targets, {}, [](const auto* target) { return target->zone; });
  if (mount.zone.empty() && first != targets.end()) mount.zone = (*first)->zone;
  for (const auto* target : targets) {
    few.catalog.restore(*target);
    if (target->zone == mount.zone) few.vpc = target->vpc;
  }
  if (const auto* access_point = c.catalog.find(fuse::AccessPointId(mount.access_point))) few.catalog.restore(*access_point);
  return few;
}

Result<> check(const Excerpt& few, const OutsideMount& mount) {
  const fuse::FileSystemId id(mount.file_system);
  const auto* file_system = few.catalog.find(id);
  if (file_system == nullptr || file_system->life_cycle != fuse::LifeCycle::available)
    return fail(Code::not_found, "there is no available file system `{}`: `aws efs describe-file-systems` lists them",
                mount.file_system);
  std::vector<std::string> zones;
  for (const auto* target : few.catalog.mount_targets_of(id)) zones.push_back(target->zone);
  std::ranges::sort(zones);
  if (zones.empty())
    return fail(Code::not_found, "`{}` has no mount target: `aws efs create-mount-target` makes one", mount.file_system);
  if (few.catalog.mount_target_in(id, mount.zone) == nullptr)
    return fail(Code::not_found, "`{}` has no mount target in zone {}; it has them in {}", mount.file_system, mount.zone,
                fmt::join(zones, ", "));
  if (mount.access_point.empty()) return {};
  const auto* access_point = few.catalog.find(fuse::AccessPointId(mount.access_point));
  if (access_point == nullptr)
    return fail(Code::not_found, "there is no access point `{}`: `aws efs describe-access-points` lists them",
                mount.access_point);
  if (access_point->file_system != id)
    return fail(Code::not_found, "access point `{}` is one of `{}`, not of `{}`", mount.access_point,
                access_point->file_system.str(), mount.file_system);
  return {};
}

}  // namespace

Result<> check_outside_mount(const control::ControlPlane& plane, OutsideMount& mount) {
  return check(plane.read([&](const Control& c) { return excerpt(c, mount); }), mount);
}

Result<fuse::MountSpec> decide_outside_mount(control::ControlPlane& plane, const std::string& file_systems, OutsideMount& mount) {
  // apply(), not read(): the time of this decision is wanted.
  const Excerpt few = plane.apply([&](const Control& c) { return excerpt(c, mount); });
  if (auto there = check(few, mount); !there) return fail(there.error());
  const EfsVolume volume{.name = mount.name,
                         .file_system = mount.file_system,
                         .access_point = mount.access_point,
                         .root = mount.root,
                         .transit_encryption = true,
                         .iam = !mount.role_arn.empty()};
  const MountClient client{.task = mount.session,
                           .role_arn = mount.role_arn,
                           .zone = mount.zone,
                           .vpc = few.vpc,
                           .now = few.now,
                           .execution_role_arn = {},
                           .closed = {},
                           .role_hint = mount.role_hint};
  auto judged = judge_mount(few.catalog, *plane.identities(), volume, client, plane.region(), file_systems);
  if (!judged) return fail(judged.error().code, "{}", judged.error().explanation);
  if (mount.read_only) judged->rights.write = false;
  if (mount.io_uring) judged->io_uring = true;
  return std::move(*judged);
}

Result<std::string> find_role(const control::ControlPlane& plane, const std::string& name_or_arn) {
  std::string arn =
      name_or_arn.starts_with("arn:") ? name_or_arn : fmt::format("arn:aws:iam::{}:role/{}", plane.account(), name_or_arn);
  if (plane.identities()->find_role_by_arn(arn) == nullptr) return fail(Code::not_found, "there is no role `{}`", arn);
  return arn;
}

}  // namespace berth::launch

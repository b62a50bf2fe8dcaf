#include <fmt/format.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include "broker/control/control_plane.hpp"
#include "broker/services/efs/operations.hpp"
#include "broker/services/efs/page.hpp"
#include "broker/services/efs/records.hpp"

namespace berth::services::efs {

using api::refuse;
using cluster_sim::SecurityGroupId;
using cluster_sim::Subnet;
using cluster_sim::SubnetId;
using control::Control;
using fuse::FileSystemRecord;
using fuse::MountTargetId;
using fuse::MountTargetRecord;

namespace {

constexpr std::size_t kSecurityGroupsMax = 5;

// One mount target a zone, all in one VPC, and for a One Zone file system only in its zone.
Outcome<void> check_place(const FileSystemRecord& file_system, const Subnet& subnet, const fuse::Catalog& catalog) {
  if (!file_system.zone.empty() && file_system.zone != subnet.zone)
    return refuse("AvailabilityZonesMismatch", fmt::format("file system '{}' is in {} only; subnet '{}' is in {}",
                                                           file_system.id.str(), file_system.zone, subnet.id.str(), subnet.zone));
  for (const auto* other : catalog.mount_targets_of(file_system.id)) {
    if (other->zone == subnet.zone)
      return refuse("MountTargetConflict",
                    fmt::format("mount target already exists in this AZ: '{}' in {}", other->id.str(), other->zone));
    if (other->vpc != subnet.vpc.str())
      return refuse("MountTargetConflict", fmt::format("mount target '{}' is in VPC '{}': all of a file system's are in one VPC, "
                                                       "and subnet '{}' is in '{}'",
                                                       other->id.str(), other->vpc, subnet.id.str(), subnet.vpc.str()));
  }
  return {};
}

Outcome<std::vector<SecurityGroupId>> read_security_groups(const Json& input, const std::string& vpc,
                                                           const cluster_sim::Cluster& cluster) {
  std::vector<SecurityGroupId> groups;
  if (const auto list = input.find("SecurityGroups"); list != input.end()) {
    if (list->size() > kSecurityGroupsMax)
      return refuse("SecurityGroupLimitExceeded",
                    fmt::format("{} security groups; a mount target has at most {}", list->size(), kSecurityGroupsMax));
    for (const auto& id : *list) {
      const auto found = cluster.security_groups().find(SecurityGroupId(id));
      if (found == cluster.security_groups().end() || found->second.vpc.str() != vpc)
        return refuse("SecurityGroupNotFound",
                      fmt::format("The security group '{}' does not exist in VPC '{}'.", id.get<std::string>(), vpc));
      groups.push_back(found->first);
    }
  }
  if (!groups.empty()) return groups;
  for (const auto& [id, group] : cluster.security_groups())
    if (group.vpc.str() == vpc && group.name == "default") groups.push_back(id);
  return groups;
}

// 0: the lowest free address of the subnet.
Outcome<std::uint32_t> read_address(const Json& input, const Subnet& subnet) {
  if (input.value("IpAddressType", "IPV4_ONLY") != "IPV4_ONLY" || input.contains("Ipv6Address"))
    return refuse("BadRequest", "Berth's subnets have no IPv6 addresses: IpAddressType must be IPV4_ONLY");
  const auto text = input.find("IpAddress");
  if (text == input.end()) {
    if (subnet.free_addresses() == 0)
      return refuse("NoFreeAddressesInSubnet",
                    fmt::format("subnet '{}' ({}) has no free address left", subnet.id.str(), subnet.block.str()));
    return 0;
  }
  const auto address = cluster_sim::parse_address(text->get<std::string>());
  if (!address || !subnet.block.contains(*address))
    return refuse("BadRequest", fmt::format("IpAddress `{}` is not in subnet '{}' ({})", text->get<std::string>(),
                                            subnet.id.str(), subnet.block.str()));
  if (subnet.used.contains(*address))
    return refuse("IpAddressInUse",
                  fmt::format("address {} of subnet '{}' is in use", text->get<std::string>(), subnet.id.str()));
  return *address;
}

// All that may fail has been checked but the interface itself, which is made last before the record.
Outcome<MountTargetRecord> decide_mount_target(const CallContext& context, const Json& input, Control& c) {
  const auto file_system = need_available(c.catalog, input.at("FileSystemId").get<std::string>());
  if (!file_system) return std::unexpected(file_system.error());
  const SubnetId subnet_id(input.at("SubnetId").get<std::string>());
  const auto found = c.cluster.subnets().find(subnet_id);
  if (found == c.cluster.subnets().end())
    return refuse("SubnetNotFound", fmt::format("The subnet ID '{}' does not exist.", subnet_id.str()));
  const Subnet& subnet = found->second;
  if (auto checked = check_place(**file_system, subnet, c.catalog); !checked) return std::unexpected(checked.error());
  const auto groups = read_security_groups(input, subnet.vpc.str(), c.cluster);
  if (!groups) return std::unexpected(groups.error());
  const auto address = read_address(input, subnet);
  if (!address) return std::unexpected(address.error());

  MountTargetRecord record{.id = MountTargetId(make_id(c.random, "fsmt-")),
                           .file_system = (*file_system)->id,
                           .owner = context.account,
                           .life_cycle = fuse::LifeCycle::available,
                           .vpc = subnet.vpc.str(),
                           .subnet = subnet.id.str(),
                           .zone = subnet.zone,
                           .zone_id = subnet.zone_id};
  for (const auto& group : *groups) record.security_groups.push_back(group.str());
  const auto description = fmt::format("EFS mount target for {} ({})", record.file_system.str(), record.id.str());
  const auto interface =
      c.cluster.create_interface(c.random, subnet_id, *address, *groups, "mount-target/" + record.id.str(), description, {});
  if (!interface) {
    const bool exhausted = interface.error().code == Code::resource_exhausted;
    return refuse(exhausted ? "NoFreeAddressesInSubnet" : "BadRequest", interface.error().message);
  }
  record.interface = interface->str();
  record.address = cluster_sim::address_text(c.cluster.interfaces().at(*interface).address);
  return record;
}

Outcome<std::vector<std::string>> selected(const Json& input, const fuse::Catalog& catalog) {
  const auto named = input.contains("FileSystemId") + input.contains("MountTargetId") + input.contains("AccessPointId");
  if (named != 1) return refuse("BadRequest", "give exactly one of FileSystemId, MountTargetId and AccessPointId");
  if (input.contains("MountTargetId")) {
    const auto record = need_mount_target(catalog, input.at("MountTargetId").get<std::string>());
    if (!record) return std::unexpected(record.error());
    return std::vector{(*record)->id.str()};
  }
  fuse::FileSystemId file_system;
  if (input.contains("AccessPointId")) {
    const auto record = need_access_point(catalog, input.at("AccessPointId").get<std::string>());
    if (!record) return std::unexpected(record.error());
    file_system = (*record)->file_system;
  } else {
    const auto record = need_file_system(catalog, input.at("FileSystemId").get<std::string>());
    if (!record) return std::unexpected(record.error());
    file_system = (*record)->id;
  }
  std::vector<std::string> keys;
  for (const auto* record : catalog.mount_targets_of(file_system)) keys.push_back(record->id.str());
  return keys;
}

}  // namespace

Outcome<Json> create_mount_target(const Parts& parts, const CallContext& context, const Json& input) {
  auto answer = parts.plane.with([&](Control& c) -> Outcome<Json> {
    auto record = decide_mount_target(context, input, c);
    if (!record) return std::unexpected(record.error());
    auto json = describe(*record);
    json["LifeCycleState"] = "creating";  // as EFS answers it; the next Describe* says `available`
    c.catalog.put(std::move(*record));
    return json;
  });
  if (answer && parts.access_changed) parts.access_changed();
  return answer;
}

Outcome<Json> describe_mount_targets(const Parts& parts, const CallContext&, const Json& input) {
  return parts.plane.read([&](const Control& c) -> Outcome<Json> {
    const auto keys = selected(input, c.catalog);
    if (!keys) return std::unexpected(keys.error());
    return write_page(*keys, input, by_marker("MountTargets"),
                      [&](const std::string& key) { return describe(*c.catalog.find(MountTargetId(key))); });
  });
}

Outcome<Json> delete_mount_target(const Parts& parts, const CallContext&, const Json& input) {
  auto answer = parts.plane.with([&](Control& c) -> Outcome<Json> {
    const auto record = need_mount_target(c.catalog, input.at("MountTargetId").get<std::string>());
    if (!record) return std::unexpected(record.error());
    const auto removed = c.cluster.delete_interface(cluster_sim::InterfaceId((*record)->interface));
    // An interface that is gone already is what was wanted.
    if (!removed && removed.error().code != Code::not_found) return refuse("DependencyTimeout", removed.error().message);
    const auto id = (*record)->id;
    c.catalog.erase(id);
    return Json::object();
  });
  if (answer && parts.access_changed) parts.access_changed();
  return answer;
}

Outcome<Json> describe_mount_target_security_groups(const Parts& parts, const CallContext&, const Json& input) {
  return parts.plane.read([&](const Control& c) -> Outcome<Json> {
    const auto record = need_mount_target(c.catalog, input.at("MountTargetId").get<std::string>());
    if (!record) return std::unexpected(record.error());
    return Json{{"SecurityGroups", (*record)->security_groups}};
  });
}

Outcome<Json> modify_mount_target_security_groups(const Parts& parts, const CallContext&, const Json& input) {
  return parts.plane.with([&](Control& c) -> Outcome<Json> {
    const auto record = need_mount_target(c.catalog, input.at("MountTargetId").get<std::string>());
    if (!record) return std::unexpected(record.error());
    const auto groups = read_security_groups(input, (*record)->vpc, c.cluster);
    if (!groups) return std::unexpected(groups.error());
    auto changed = **record;
    changed.security_groups.clear();
    for (const auto& group : *groups) changed.security_groups.push_back(group.str());
    if (auto* interface = c.cluster.edit(cluster_sim::InterfaceId(changed.interface))) interface->security_groups = *groups;
    c.catalog.put(std::move(changed));
    return Json::object();
  });
}

}  // namespace berth::services::efs

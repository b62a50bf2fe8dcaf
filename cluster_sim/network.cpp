// VPCs, subnets, security groups and interfaces.

#include "cluster_sim/network.hpp"

#include <algorithm>

#include "cluster_sim/address_pool.hpp"
#include "cluster_sim/interfaces.hpp"

namespace berth::cluster_sim {
namespace {

// AWS gives blocks between /16 and /28.
Result<> check_block(const Cidr& block) {
  if (block.prefix_length < 16 || block.prefix_length > 28) {
    return fail(Code::invalid_argument, "the block `{}` is not between /16 and /28", block.str());
  }
  return {};
}

const SecurityGroup* default_group(const State& state, const VpcId& vpc) {
  for (const auto& [id, group] : state.security_groups) {
    if (group.vpc == vpc && group.name == "default") return &group;
  }
  return nullptr;
}

Result<> check_groups(const State& state, const VpcId& vpc, const std::vector<SecurityGroupId>& groups) {
  for (const auto& id : groups) {
    const SecurityGroup* group = find(state.security_groups, id);
    if (!group) return fail(Code::not_found, "The security group '{}' does not exist", id.str());
    if (group->vpc != vpc) return fail(Code::invalid_argument, "security group `{}` is of another VPC than the subnet", id.str());
  }
  return {};
}

SecurityGroupId add_group(State& state, Random& random, const VpcId& vpc, std::string name, std::string description, Tags tags) {
  SecurityGroup group{.id = SecurityGroupId(new_ec2_id(random, "sg")),
                      .vpc = vpc,
                      .name = std::move(name),
                      .description = std::move(description),
                      .tags = std::move(tags),
                      .rules = {}};
  group.rules.push_back({.egress = true, .protocol = "-1", .cidrs = {"0.0.0.0/0"}, .groups = {}});
  const SecurityGroupId id = group.id;
  state.changed(id);
  state.security_groups.emplace(id, std::move(group));
  return id;
}

}  // namespace

// AWS shuffles zone ids per account; Berth counts.
std::string zone_id_of(const Settings& settings, std::string_view zone) {
  std::string short_region;
  for (std::size_t at = 0; at < settings.region.size();) {
    const std::size_t dash = std::min(settings.region.find('-', at), settings.region.size());
    const std::string_view word(settings.region.data() + at, dash - at);
    short_region += word == "us" || word == "eu" || word == "ap" || word == "sa" || word == "ca" || word == "me" ||
                            word == "af" || word == "il"
                        ? word
                        : word.substr(0, 1);
    at = dash + 1;
  }
  return fmt::format("{}-az{}", short_region, zone.empty() ? 0 : zone.back() - 'a' + 1);
}

std::string new_ec2_id(Random& random, std::string_view prefix) { return fmt::format("{}-0{}", prefix, random.hex(16)); }

Result<InterfaceId> make_interface(State& state, Random& random, InterfaceWish wish) {
  auto found = state.subnets.find(wish.subnet);
  if (found == state.subnets.end()) return fail(Code::not_found, "The subnet ID '{}' does not exist", wish.subnet.str());
  Subnet& subnet = found->second;
  if (auto checked = check_groups(state, subnet.vpc, wish.security_groups); !checked) return fail(checked.error());
  if (wish.security_groups.empty()) {
    if (const SecurityGroup* group = default_group(state, subnet.vpc)) wish.security_groups.push_back(group->id);
  }
  auto address = take_address(subnet, wish.address);
  if (!address) return fail(address.error());
  Interface made{.id = InterfaceId(new_ec2_id(random, "eni")),
                 .subnet = wish.subnet,
                 .address = *address,
                 .mac = {},
                 .description = std::move(wish.description),
                 .security_groups = std::move(wish.security_groups),
                 .owner = std::move(wish.owner),
                 .attachment_id = {},
                 .tags = std::move(wish.tags)};
  // 02: locally administered. The address behind it makes it unique within a VPC.
  const std::string salt = random.hex(2);
  made.mac = fmt::format("02:{}:{:02x}:{:02x}:{:02x}:{:02x}", salt, *address >> 24, *address >> 16 & 255, *address >> 8 & 255,
                         *address & 255);
  const InterfaceId id = made.id;
  state.changed(id);
  state.interfaces.emplace(id, std::move(made));
  return id;
}

void free_interface(State& state, const InterfaceId& id) {
  auto found = state.interfaces.find(id);
  if (found == state.interfaces.end()) return;
  if (auto subnet = state.subnets.find(found->second.subnet); subnet != state.subnets.end())
    subnet->second.used.erase(found->second.address);
  state.changed(id);
  state.interfaces.erase(found);
}

Result<VpcId> Cluster::create_vpc(Random& random, Cidr block, Tags tags) {
  if (auto checked = check_block(block); !checked) return fail(checked.error());
  const VpcId id(new_ec2_id(random, "vpc"));
  state_->vpcs.emplace(id, Vpc{.id = id, .block = block, .tags = std::move(tags)});
  state_->changed(id);
  const SecurityGroupId group = add_group(*state_, random, id, "default", "default VPC security group", {});
  // What is in the group may talk to what is in it.
  state_->security_groups.at(group).rules.push_back({.egress = false, .protocol = "-1", .cidrs = {}, .groups = {group}});
  return id;
}

Result<> Cluster::delete_vpc(const VpcId& id) {
  if (!state_->vpcs.contains(id)) return fail(Code::not_found, "The vpc ID '{}' does not exist", id.str());
  const auto in_vpc = [&](const auto& item) { return item.second.vpc == id; };
  const bool has_subnet = std::ranges::any_of(state_->subnets, in_vpc);
  const bool has_group = std::ranges::any_of(state_->security_groups,
                                             [&](const auto& item) { return in_vpc(item) && item.second.name != "default"; });
  if (has_subnet || has_group) {
    return fail(Code::failed_precondition, "The vpc '{}' has dependencies and cannot be deleted.", id.str());
  }
  if (const SecurityGroup* group = default_group(*state_, id)) {
    state_->changed(group->id);
    state_->security_groups.erase(SecurityGroupId(group->id));
  }
  state_->vpcs.erase(id);
  state_->changed(id);
  return {};
}

Result<SubnetId> Cluster::create_subnet(Random& random, const VpcId& vpc_id, std::string zone, Cidr block, Tags tags) {
  const Vpc* vpc = find(state_->vpcs, vpc_id);
  if (!vpc) return fail(Code::not_found, "The vpc ID '{}' does not exist", vpc_id.str());
  if (std::ranges::find(state_->settings.zones, zone) == state_->settings.zones.end()) {
    return fail(Code::invalid_argument, "zone `{}` is not one of the region's", zone);
  }
  if (auto checked = check_block(block); !checked) return fail(checked.error());
  if (!vpc->block.contains(block))
    return fail(Code::invalid_argument, "the block `{}` is not in the VPC's `{}`", block.str(), vpc->block.str());
  for (const auto& [id, subnet] : state_->subnets) {
    if (subnet.vpc == vpc_id && subnet.block.overlaps(block)) {
      return fail(Code::already_exists, "the block `{}` overlaps with `{}`'s `{}`", block.str(), id.str(), subnet.block.str());
    }
  }
  const SubnetId id(new_ec2_id(random, "subnet"));
  Subnet subnet{.id = id,
                .vpc = vpc_id,
                .zone = zone,
                .zone_id = zone_id_of(state_->settings, zone),
                .block = block,
                .tags = std::move(tags),
                .used = {}};
  state_->subnets.emplace(id, std::move(subnet));
  state_->changed(id);
  return id;
}

Result<> Cluster::delete_subnet(const SubnetId& id) {
  if (!state_->subnets.contains(id)) return fail(Code::not_found, "The subnet ID '{}' does not exist", id.str());
  if (std::ranges::any_of(state_->interfaces, [&](const auto& item) { return item.second.subnet == id; })) {
    return fail(Code::failed_precondition, "The subnet '{}' has dependencies and cannot be deleted.", id.str());
  }
  state_->subnets.erase(id);
  state_->changed(id);
  return {};
}

Result<SecurityGroupId> Cluster::create_security_group(Random& random, const VpcId& vpc, std::string name,
                                                       std::string description, Tags tags) {
  if (!state_->vpcs.contains(vpc)) return fail(Code::not_found, "The vpc ID '{}' does not exist", vpc.str());
  const auto same = [&](const auto& item) { return item.second.vpc == vpc && item.second.name == name; };
  if (std::ranges::any_of(state_->security_groups, same)) {
    return fail(Code::already_exists, "The security group '{}' already exists for VPC '{}'", name, vpc.str());
  }
  return add_group(*state_, random, vpc, std::move(name), std::move(description), std::move(tags));
}

Result<> Cluster::delete_security_group(const SecurityGroupId& id) {
  const SecurityGroup* group = find(state_->security_groups, id);
  if (!group) return fail(Code::not_found, "The security group '{}' does not exist", id.str());
  if (group->name == "default")
    return fail(Code::permission_denied, "the security group: \"{}\" name: \"default\" cannot be deleted by a user", id.str());
  const auto uses = [&](const std::vector<SecurityGroupId>& groups) { return std::ranges::find(groups, id) != groups.end(); };
  const bool by_interface =
      std::ranges::any_of(state_->interfaces, [&](const auto& item) { return uses(item.second.security_groups); });
  const bool by_rule = std::ranges::any_of(state_->security_groups, [&](const auto& item) {
    return item.first != id && std::ranges::any_of(item.second.rules, [&](const auto& rule) { return uses(rule.groups); });
  });
  if (by_interface || by_rule) return fail(Code::failed_precondition, "resource {} has a dependent object", id.str());
  state_->security_groups.erase(SecurityGroupId(id));
  state_->changed(id);
  return {};
}

Result<InterfaceId> Cluster::create_interface(Random& random, const SubnetId& subnet, std::uint32_t address,
                                              std::vector<SecurityGroupId> groups, std::string owner, std::string description,
                                              Tags tags) {
  return make_interface(*state_, random,
                        {subnet, address, std::move(groups), std::move(owner), std::move(description), std::move(tags)});
}

Result<> Cluster::delete_interface(const InterfaceId& id) {
  if (!state_->interfaces.contains(id)) return fail(Code::not_found, "The networkInterface ID '{}' does not exist", id.str());
  free_interface(*state_, InterfaceId(id));
  return {};
}

}  // namespace berth::cluster_sim

// VPCs, subnets and network interfaces.

#include <array>

#include <fmt/format.h>

#include "broker/control/control_plane.hpp"
#include "broker/services/ec2/operations.hpp"
#include "broker/services/ec2/wire.hpp"

namespace berth::services::ec2 {
namespace {

using namespace cluster_sim;
using control::Control;

std::string yes_no(bool value) { return value ? "true" : "false"; }

// --- what the answers hold

Json vpc_json(const Settings& settings, const Vpc& vpc) {
  Json json{{"VpcId", vpc.id.str()},       {"CidrBlock", vpc.block.str()}, {"State", "available"},
            {"IsDefault", vpc.is_default}, {"InstanceTenancy", "default"}, {"OwnerId", settings.account},
            {"DhcpOptionsId", "default"}};
  json["CidrBlockAssociationSet"] = Json::array({{{"AssociationId", "vpc-cidr-assoc-" + vpc.id.str().substr(4)},
                                                  {"CidrBlock", vpc.block.str()},
                                                  {"CidrBlockState", {{"State", "associated"}}}}});
  add_tags(json, vpc.tags);
  return json;
}

std::string arn(const Settings& settings, std::string_view type, const std::string& id) {
  return fmt::format("arn:aws:ec2:{}:{}:{}/{}", settings.region, settings.account, type, id);
}

Json subnet_json(const Settings& settings, const Subnet& subnet) {
  Json json{{"SubnetId", subnet.id.str()},
            {"SubnetArn", arn(settings, "subnet", subnet.id.str())},
            {"VpcId", subnet.vpc.str()},
            {"CidrBlock", subnet.block.str()},
            {"AvailabilityZone", subnet.zone},
            {"AvailabilityZoneId", subnet.zone_id},
            {"AvailableIpAddressCount", subnet.free_addresses()},
            {"State", "available"},
            {"OwnerId", settings.account},
            {"DefaultForAz", false},
            {"MapPublicIpOnLaunch", subnet.map_public_ip},
            {"AssignIpv6AddressOnCreation", false}};
  add_tags(json, subnet.tags);
  return json;
}

Json interface_json(const Cluster& cluster, const Interface& interface) {
  const Subnet& subnet = cluster.subnets().at(interface.subnet);
  Json groups = Json::array();
  for (const auto& id : interface.security_groups) {
    auto group = cluster.security_groups().find(id);
    groups.push_back({{"GroupId", id.str()}, {"GroupName", group == cluster.security_groups().end() ? "" : group->second.name}});
  }
  const std::string address = address_text(interface.address);
  Json json{{"NetworkInterfaceId", interface.id.str()},
            {"SubnetId", interface.subnet.str()},
            {"VpcId", subnet.vpc.str()},
            {"AvailabilityZone", subnet.zone},
            {"Description", interface.description},
            {"OwnerId", cluster.settings().account},
            {"RequesterManaged", !interface.owner.empty() && !interface.owner.starts_with("instance/")},
            {"Status", interface.owner.empty() ? "available" : "in-use"},
            {"InterfaceType", "interface"},
            {"MacAddress", interface.mac},
            {"PrivateIpAddress", address},
            {"PrivateIpAddresses", Json::array({{{"Primary", true}, {"PrivateIpAddress", address}}})},
            {"SourceDestCheck", true},
            {"Groups", std::move(groups)}};
  if (interface.owner.starts_with("instance/")) {
    json["Attachment"] = {
        {"InstanceId", interface.owner.substr(9)}, {"Status", "attached"}, {"DeviceIndex", 0}, {"DeleteOnTermination", true}};
  }
  add_tags(json, interface.tags, "TagSet");
  return json;
}

// --- filters

constexpr std::array kVpcFilters{
    Filter<Vpc>{"vpc-id", [](const Cluster&, const Vpc& v) { return Values{v.id.str()}; }},
    Filter<Vpc>{"cidr", [](const Cluster&, const Vpc& v) { return Values{v.block.str()}; }},
    Filter<Vpc>{"cidr-block", [](const Cluster&, const Vpc& v) { return Values{v.block.str()}; }},
    Filter<Vpc>{"cidr-block-association.cidr-block", [](const Cluster&, const Vpc& v) { return Values{v.block.str()}; }},
    Filter<Vpc>{"state", [](const Cluster&, const Vpc&) { return Values{"available"}; }},
    Filter<Vpc>{"is-default", [](const Cluster&, const Vpc& v) { return Values{yes_no(v.is_default)}; }},
    Filter<Vpc>{"isDefault", [](const Cluster&, const Vpc& v) { return Values{yes_no(v.is_default)}; }},
    Filter<Vpc>{"owner-id", [](const Cluster& c, const Vpc&) { return Values{c.settings().account}; }},
};

constexpr std::array kSubnetFilters{
    Filter<Subnet>{"subnet-id", [](const Cluster&, const Subnet& s) { return Values{s.id.str()}; }},
    Filter<Subnet>{"vpc-id", [](const Cluster&, const Subnet& s) { return Values{s.vpc.str()}; }},
    Filter<Subnet>{"availability-zone", [](const Cluster&, const Subnet& s) { return Values{s.zone}; }},
    Filter<Subnet>{"availabilityZone", [](const Cluster&, const Subnet& s) { return Values{s.zone}; }},
    Filter<Subnet>{"availability-zone-id", [](const Cluster&, const Subnet& s) { return Values{s.zone_id}; }},
    Filter<Subnet>{"cidr-block", [](const Cluster&, const Subnet& s) { return Values{s.block.str()}; }},
    Filter<Subnet>{"cidrBlock", [](const Cluster&, const Subnet& s) { return Values{s.block.str()}; }},
    Filter<Subnet>{"available-ip-address-count",
                   [](const Cluster&, const Subnet& s) { return Values{std::to_string(s.free_addresses())}; }},
    Filter<Subnet>{"map-public-ip-on-launch", [](const Cluster&, const Subnet& s) { return Values{yes_no(s.map_public_ip)}; }},
    Filter<Subnet>{"default-for-az", [](const Cluster&, const Subnet&) { return Values{"false"}; }},
    Filter<Subnet>{"state", [](const Cluster&, const Subnet&) { return Values{"available"}; }},
    Filter<Subnet>{"owner-id", [](const Cluster& c, const Subnet&) { return Values{c.settings().account}; }},
};

Values group_ids(const Cluster&, const Interface& interface) {
  Values ids;
  for (const auto& id : interface.security_groups) ids.push_back(id.str());
  return ids;
}

constexpr std::array kInterfaceFilters{
    Filter<Interface>{"network-interface-id", [](const Cluster&, const Interface& i) { return Values{i.id.str()}; }},
    Filter<Interface>{"subnet-id", [](const Cluster&, const Interface& i) { return Values{i.subnet.str()}; }},
    Filter<Interface>{"vpc-id", [](const Cluster& c, const Interface& i) { return Values{c.subnets().at(i.subnet).vpc.str()}; }},
    Filter<Interface>{"availability-zone",
                      [](const Cluster& c, const Interface& i) { return Values{c.subnets().at(i.subnet).zone}; }},
    Filter<Interface>{"group-id", group_ids},
    Filter<Interface>{"mac-address", [](const Cluster&, const Interface& i) { return Values{i.mac}; }},
    Filter<Interface>{"private-ip-address", [](const Cluster&, const Interface& i) { return Values{address_text(i.address)}; }},
    Filter<Interface>{"addresses.private-ip-address",
                      [](const Cluster&, const Interface& i) { return Values{address_text(i.address)}; }},
    Filter<Interface>{"description", [](const Cluster&, const Interface& i) { return Values{i.description}; }},
    Filter<Interface>{"status",
                      [](const Cluster&, const Interface& i) { return Values{i.owner.empty() ? "available" : "in-use"}; }},
    Filter<Interface>{"attachment.instance-id",
                      [](const Cluster&, const Interface& i) {
                        return i.owner.starts_with("instance/") ? Values{i.owner.substr(9)} : Values{};
                      }},
};

Outcome<Json> no_vpc(const std::string& id) {
  return api::refuse("InvalidVpcID.NotFound", fmt::format("The vpc ID '{}' does not exist", id));
}
Outcome<Json> no_subnet(const std::string& id) {
  return api::refuse("InvalidSubnetID.NotFound", fmt::format("The subnet ID '{}' does not exist", id));
}

Outcome<Cidr> block_of(const Json& input) {
  const std::string block = text(input, "CidrBlock");
  if (block.empty())
    return api::refuse("MissingParameter",
                       "The request must contain the parameter CidrBlock: Berth has no IPAM pools and no IPv6");
  auto parsed = parse_cidr(block);
  if (!parsed)
    return api::refuse("InvalidParameterValue",
                       fmt::format("Value ({}) for parameter cidrBlock is invalid. This is not a valid CIDR block.", block));
  return *parsed;
}

// {"Value": true} of an attribute to change; nullopt where it isn't in the request.
std::optional<bool> attribute(const Json& input, const char* member) {
  auto found = input.find(member);
  if (found == input.end()) return std::nullopt;
  return found->value("Value", false);
}

}  // namespace

Outcome<Json> create_vpc(ControlPlane& plane, const CallContext&, const Json& input) {
  auto block = block_of(input);
  if (!block) return std::unexpected(block.error());
  auto tags = tags_for(input, "vpc");
  if (!tags) return std::unexpected(tags.error());
  return plane.with([&](Control& c) -> Outcome<Json> {
    auto made = c.cluster.create_vpc(c.random, *block, *tags);
    if (!made) return refuse_as(made.error(), {{Code::invalid_argument, "InvalidVpc.Range"}});
    return Json{{"Vpc", vpc_json(c.cluster.settings(), c.cluster.vpcs().at(*made))}};
  });
}

Outcome<Json> describe_vpcs(ControlPlane& plane, const CallContext&, const Json& input) {
  return plane.read([&](const Control& c) {
    return describe_records(input, "Vpcs", "VpcIds", c.cluster, c.cluster.vpcs(), std::span<const Filter<Vpc>>(kVpcFilters),
                            "InvalidVpcID.NotFound", "vpc", [&](const Vpc& vpc) { return vpc_json(c.cluster.settings(), vpc); });
  });
}

Outcome<Json> delete_vpc(ControlPlane& plane, const CallContext&, const Json& input) {
  return plane.with([&](Control& c) -> Outcome<Json> {
    auto gone = c.cluster.delete_vpc(VpcId(text(input, "VpcId")));
    if (!gone)
      return refuse_as(gone.error(),
                       {{Code::not_found, "InvalidVpcID.NotFound"}, {Code::failed_precondition, "DependencyViolation"}});
    return Json::object();
  });
}

Outcome<Json> modify_vpc_attribute(ControlPlane& plane, const CallContext&, const Json& input) {
  const std::string id = text(input, "VpcId");
  return plane.with([&](Control& c) -> Outcome<Json> {
    Vpc* vpc = c.cluster.edit(VpcId(id));
    if (!vpc) return no_vpc(id);
    if (auto value = attribute(input, "EnableDnsSupport")) vpc->dns_support = *value;
    if (auto value = attribute(input, "EnableDnsHostnames")) vpc->dns_hostnames = *value;
    return Json::object();
  });
}

Outcome<Json> describe_vpc_attribute(ControlPlane& plane, const CallContext&, const Json& input) {
  const std::string id = text(input, "VpcId"), name = text(input, "Attribute");
  return plane.read([&](const Control& c) -> Outcome<Json> {
    auto found = c.cluster.vpcs().find(VpcId(id));
    if (found == c.cluster.vpcs().end()) return no_vpc(id);
    Json answer{{"VpcId", id}};
    if (name == "enableDnsSupport")
      answer["EnableDnsSupport"] = {{"Value", found->second.dns_support}};
    else if (name == "enableDnsHostnames")
      answer["EnableDnsHostnames"] = {{"Value", found->second.dns_hostnames}};
    else if (name == "enableNetworkAddressUsageMetrics")
      answer["EnableNetworkAddressUsageMetrics"] = {{"Value", false}};
    else
      return api::refuse("InvalidParameterValue",
                         fmt::format("Value ({}) for parameter attribute is invalid. Unknown attribute.", name));
    return answer;
  });
}

Outcome<Json> create_subnet(ControlPlane& plane, const CallContext&, const Json& input) {
  auto block = block_of(input);
  if (!block) return std::unexpected(block.error());
  auto tags = tags_for(input, "subnet");
  if (!tags) return std::unexpected(tags.error());
  const VpcId vpc(text(input, "VpcId"));
  return plane.with([&](Control& c) -> Outcome<Json> {
    if (!c.cluster.vpcs().contains(vpc)) return no_vpc(vpc.str());
    const auto& zones = c.cluster.settings().zones;
    std::string zone = text(input, "AvailabilityZone");
    if (const std::string zone_id = text(input, "AvailabilityZoneId"); zone.empty() && !zone_id.empty()) {
      for (const auto& name : zones) {
        if (zone_id_of(c.cluster.settings(), name) == zone_id) zone = name;
      }
      if (zone.empty())
        return api::refuse("InvalidParameterValue",
                           fmt::format("Value ({}) for parameter availabilityZoneId is invalid.", zone_id));
    }
    if (zone.empty()) zone = zones.front();
    if (std::ranges::find(zones, zone) == zones.end()) {
      return api::refuse(
          "InvalidParameterValue",
          fmt::format("Value ({}) for parameter availabilityZone is invalid. Subnets can currently only be created in "
                      "the following availability zones: {}.",
                      zone, fmt::join(zones, ", ")));
    }
    auto made = c.cluster.create_subnet(c.random, vpc, zone, *block, *tags);
    if (!made && made.error().code == Code::already_exists) {
      return api::refuse("InvalidSubnet.Conflict", fmt::format("The CIDR '{}' conflicts with another subnet", block->str()));
    }
    if (!made) return api::refuse("InvalidSubnet.Range", fmt::format("The CIDR '{}' is invalid.", block->str()));
    return Json{{"Subnet", subnet_json(c.cluster.settings(), c.cluster.subnets().at(*made))}};
  });
}

Outcome<Json> describe_subnets(ControlPlane& plane, const CallContext&, const Json& input) {
  return plane.read([&](const Control& c) {
    return describe_records(input, "Subnets", "SubnetIds", c.cluster, c.cluster.subnets(),
                            std::span<const Filter<Subnet>>(kSubnetFilters), "InvalidSubnetID.NotFound", "subnet",
                            [&](const Subnet& subnet) { return subnet_json(c.cluster.settings(), subnet); });
  });
}

Outcome<Json> delete_subnet(ControlPlane& plane, const CallContext&, const Json& input) {
  return plane.with([&](Control& c) -> Outcome<Json> {
    auto gone = c.cluster.delete_subnet(SubnetId(text(input, "SubnetId")));
    if (!gone)
      return refuse_as(gone.error(),
                       {{Code::not_found, "InvalidSubnetID.NotFound"}, {Code::failed_precondition, "DependencyViolation"}});
    return Json::object();
  });
}

Outcome<Json> modify_subnet_attribute(ControlPlane& plane, const CallContext&, const Json& input) {
  const std::string id = text(input, "SubnetId");
  const auto value = attribute(input, "MapPublicIpOnLaunch");
  if (!value) return api::refuse("NotImplemented", "Berth has MapPublicIpOnLaunch alone of a subnet's attributes");
  return plane.with([&](Control& c) -> Outcome<Json> {
    Subnet* subnet = c.cluster.edit(SubnetId(id));
    if (!subnet) return no_subnet(id);
    subnet->map_public_ip = *value;
    return Json::object();
  });
}

Outcome<Json> create_network_interface(ControlPlane& plane, const CallContext&, const Json& input) {
  auto tags = tags_for(input, "network-interface");
  if (!tags) return std::unexpected(tags.error());
  std::uint32_t address = 0;
  if (const std::string wanted = text(input, "PrivateIpAddress"); !wanted.empty()) {
    auto parsed = parse_address(wanted);
    if (!parsed) return api::refuse("InvalidParameterValue", fmt::format("invalid value for parameter address: {}", wanted));
    address = *parsed;
  }
  std::vector<SecurityGroupId> groups;
  for (auto& id : texts(input, "Groups")) groups.emplace_back(std::move(id));
  const SubnetId subnet(text(input, "SubnetId"));
  return plane.with([&](Control& c) -> Outcome<Json> {
    if (!c.cluster.subnets().contains(subnet)) return no_subnet(subnet.str());
    auto made = c.cluster.create_interface(c.random, subnet, address, groups, "", text(input, "Description"), *tags);
    if (!made) {
      return refuse_as(made.error(), {{Code::not_found, "InvalidGroup.NotFound"},
                                      {Code::already_exists, "InvalidIPAddress.InUse"},
                                      {Code::resource_exhausted, "InsufficientFreeAddressesInSubnet"}});
    }
    return Json{{"NetworkInterface", interface_json(c.cluster, c.cluster.interfaces().at(*made))}};
  });
}

Outcome<Json> describe_network_interfaces(ControlPlane& plane, const CallContext&, const Json& input) {
  return plane.read([&](const Control& c) {
    return describe_records(input, "NetworkInterfaces", "NetworkInterfaceIds", c.cluster, c.cluster.interfaces(),
                            std::span<const Filter<Interface>>(kInterfaceFilters), "InvalidNetworkInterfaceID.NotFound",
                            "networkInterface", [&](const Interface& interface) { return interface_json(c.cluster, interface); });
  });
}

Outcome<Json> delete_network_interface(ControlPlane& plane, const CallContext&, const Json& input) {
  const InterfaceId id(text(input, "NetworkInterfaceId"));
  return plane.with([&](Control& c) -> Outcome<Json> {
    auto found = c.cluster.interfaces().find(id);
    if (found == c.cluster.interfaces().end()) {
      return api::refuse("InvalidNetworkInterfaceID.NotFound",
                         fmt::format("The networkInterface ID '{}' does not exist", id.str()));
    }
    if (!found->second.owner.empty()) {
      return api::refuse("InvalidNetworkInterface.InUse",
                         fmt::format("The network interface '{}' is in use by {}.", id.str(), found->second.owner));
    }
    if (auto gone = c.cluster.delete_interface(id); !gone) return refuse_as(gone.error(), {});
    return Json::object();
  });
}

}  // namespace berth::services::ec2

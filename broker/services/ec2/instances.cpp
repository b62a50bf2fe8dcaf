// Instances: simulated machines that boot at once; what matters of them is the ECS agent (broker/agent) and their capacity.

#include <array>

#include "broker/base/encoding.hpp"
#include "broker/control/control_plane.hpp"
#include "broker/services/ec2/launch_templates.hpp"
#include "broker/services/ec2/operations.hpp"

namespace berth::services::ec2 {
namespace {

using namespace cluster_sim;
using control::Control;

int state_code(std::string_view state) {
  static constexpr std::array<std::pair<std::string_view, int>, 6> kCodes{
      {{"pending", 0}, {"running", 16}, {"shutting-down", 32}, {"terminated", 48}, {"stopping", 64}, {"stopped", 80}}};
  for (const auto& [name, code] : kCodes) {
    if (name == state) return code;
  }
  return 0;
}
Json state_json(const std::string& state) { return {{"Code", state_code(state)}, {"Name", state}}; }

const Interface* interface_of(const Cluster& cluster, const Instance& instance) {
  auto found = cluster.interfaces().find(instance.interface);
  return found == cluster.interfaces().end() ? nullptr : &found->second;
}

std::string vpc_of(const Cluster& cluster, const Instance& instance) {
  auto found = cluster.subnets().find(instance.subnet);
  return found == cluster.subnets().end() ? std::string() : found->second.vpc.str();
}

std::string private_name(const Settings& settings, std::string address) {
  std::ranges::replace(address, '.', '-');
  return fmt::format("ip-{}.{}", address,
                     settings.region == "us-east-1" ? "ec2.internal" : settings.region + ".compute.internal");
}

Json instance_json(const Control& c, const Instance& instance) {
  const Cluster& cluster = c.cluster;
  Json json{{"InstanceId", instance.id.str()},
            {"ImageId", instance.image_id},
            {"InstanceType", instance.type},
            {"State", state_json(instance.state)},
            {"LaunchTime", to_epoch_seconds(instance.launched)},
            {"Placement", {{"AvailabilityZone", instance.zone}, {"Tenancy", "default"}, {"GroupName", ""}}},
            {"AmiLaunchIndex", 0},
            {"Architecture", "x86_64"},
            {"RootDeviceType", "ebs"},
            {"RootDeviceName", "/dev/xvda"},
            {"VirtualizationType", "hvm"},
            {"Hypervisor", "xen"},
            {"Monitoring", {{"State", "disabled"}}},
            {"StateTransitionReason", instance.state_reason}};
  if (instance.spot) json["InstanceLifecycle"] = "spot";
  if (!instance.client_token.empty()) json["ClientToken"] = instance.client_token;
  if (!instance.state_reason.empty())
    json["StateReason"] = {{"Code", instance.state_reason.substr(0, instance.state_reason.find(':'))},
                           {"Message", instance.state_reason}};
  if (const auto* profile = c.identities->find_instance_profile(instance.instance_profile))
    json["IamInstanceProfile"] = {{"Arn", profile->arn}, {"Id", profile->id}};
  if (const Interface* interface = interface_of(cluster, instance)) {
    const std::string address = address_text(interface->address), name = private_name(cluster.settings(), address);
    Json groups = Json::array();
    for (const auto& id : interface->security_groups) {
      auto group = cluster.security_groups().find(id);
      groups.push_back(
          {{"GroupId", id.str()}, {"GroupName", group == cluster.security_groups().end() ? "" : group->second.name}});
    }
    json["SubnetId"] = instance.subnet.str();
    json["VpcId"] = vpc_of(cluster, instance);
    json["PrivateIpAddress"] = address;
    json["PrivateDnsName"] = name;
    json["SecurityGroups"] = groups;
    json["NetworkInterfaces"] =
        Json::array({{{"NetworkInterfaceId", interface->id.str()},
                      {"SubnetId", instance.subnet.str()},
                      {"VpcId", vpc_of(cluster, instance)},
                      {"MacAddress", interface->mac},
                      {"OwnerId", cluster.settings().account},
                      {"PrivateIpAddress", address},
                      {"PrivateDnsName", name},
                      {"Status", "in-use"},
                      {"InterfaceType", "interface"},
                      {"Groups", groups},
                      {"PrivateIpAddresses", Json::array({{{"Primary", true}, {"PrivateIpAddress", address}}})}}});
  }
  add_tags(json, instance.tags);
  return json;
}

Values address_of(const Cluster& cluster, const Instance& instance) {
  const Interface* interface = interface_of(cluster, instance);
  return interface ? Values{address_text(interface->address)} : Values{};
}
Values groups_of(const Cluster& cluster, const Instance& instance) {
  Values ids;
  if (const Interface* interface = interface_of(cluster, instance)) {
    for (const auto& id : interface->security_groups) ids.push_back(id.str());
  }
  return ids;
}

constexpr std::array kInstanceFilters{
    Filter<Instance>{"instance-id", [](const Cluster&, const Instance& i) { return Values{i.id.str()}; }},
    Filter<Instance>{"instance-type", [](const Cluster&, const Instance& i) { return Values{i.type}; }},
    Filter<Instance>{"instance-state-name", [](const Cluster&, const Instance& i) { return Values{i.state}; }},
    Filter<Instance>{"instance-state-code",
                     [](const Cluster&, const Instance& i) { return Values{std::to_string(state_code(i.state))}; }},
    Filter<Instance>{"instance-lifecycle", [](const Cluster&, const Instance& i) { return i.spot ? Values{"spot"} : Values{}; }},
    Filter<Instance>{"image-id", [](const Cluster&, const Instance& i) { return Values{i.image_id}; }},
    Filter<Instance>{"subnet-id", [](const Cluster&, const Instance& i) { return Values{i.subnet.str()}; }},
    Filter<Instance>{"vpc-id", [](const Cluster& c, const Instance& i) { return Values{vpc_of(c, i)}; }},
    Filter<Instance>{"availability-zone", [](const Cluster&, const Instance& i) { return Values{i.zone}; }},
    Filter<Instance>{"private-ip-address", address_of},
    Filter<Instance>{"instance.group-id", groups_of},
    Filter<Instance>{"network-interface.network-interface-id",
                     [](const Cluster&, const Instance& i) { return Values{i.interface.str()}; }},
};

std::string no_instance(const std::string& id) { return fmt::format("The instance ID '{}' does not exist", id); }

// What can't be launched, by EC2's codes.
Outcome<void> check_launch(const Control& c, const LaunchTemplateData& data) {
  if (data.image_id.empty()) return api::refuse("MissingParameter", "The request must contain the parameter ImageId");
  if (!data.image_id.starts_with("ami-") && !data.image_id.starts_with("resolve:ssm:")) {
    return api::refuse("InvalidAMIID.Malformed", fmt::format("Invalid id: \"{}\" (expecting \"ami-...\")", data.image_id));
  }
  if (!find_image(data.image_id))
    return api::refuse("InvalidAMIID.NotFound", fmt::format("The image id '[{}]' does not exist", data.image_id));
  if (!find_instance_type(data.instance_type)) {
    return api::refuse("InvalidParameterValue", fmt::format("Invalid value '{}' for InstanceType.", data.instance_type));
  }
  if (!data.instance_profile.empty() && !c.identities->find_instance_profile(data.instance_profile)) {
    return api::refuse(
        "InvalidParameterValue",
        fmt::format("Value ({}) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name",
                    data.instance_profile));
  }
  for (const auto& id : data.security_groups) {
    if (!c.cluster.security_groups().contains(id))
      return api::refuse("InvalidGroup.NotFound", fmt::format("The security group '{}' does not exist", id.str()));
  }
  return {};
}

Outcome<LaunchTemplateData> data_of_request(const Control& c, const Json& input) {
  LaunchTemplateData base;
  if (auto specification = input.find("LaunchTemplate"); specification != input.end()) {
    auto found = named_template(c.cluster, *specification);
    if (!found) return std::unexpected(found.error());
    auto version = version_number(**found, text(*specification, "Version"));
    if (!version) return std::unexpected(version.error());
    base = (*found)->versions.at(*version);
  }
  auto data = read_launch_data(input, std::move(base));
  if (data && data->instance_type.empty())
    data->instance_type = "m5.large";  // AWS's default is m1.small, which Berth doesn't have
  return data;
}

// A subnet of the default VPC: in `zone`, or the first one where that is empty.
const Subnet* default_subnet(const Cluster& cluster, const std::string& zone) {
  const Subnet* first = nullptr;
  for (const auto& [id, subnet] : cluster.subnets()) {
    auto vpc = cluster.vpcs().find(subnet.vpc);
    if (vpc == cluster.vpcs().end() || !vpc->second.is_default || (!zone.empty() && subnet.zone != zone)) continue;
    if (!first || subnet.zone < first->zone) first = &subnet;
  }
  return first;
}

// Where the request says, where its interface says, else the default VPC.
Outcome<SubnetId> subnet_of_request(const Cluster& cluster, const Json& input, const LaunchTemplateData& data) {
  std::string id = text(input, "SubnetId");
  for (const Json& source : {input, data.document.empty() ? Json::object() : Json::parse(data.document)}) {
    auto interfaces = source.find("NetworkInterfaces");
    if (id.empty() && interfaces != source.end() && !interfaces->empty()) id = text(interfaces->front(), "SubnetId");
  }
  if (!id.empty()) {
    if (!cluster.subnets().contains(SubnetId(id)))
      return api::refuse("InvalidSubnetID.NotFound", fmt::format("The subnet ID '{}' does not exist", id));
    return SubnetId(id);
  }
  const std::string zone = text(input.value("Placement", Json::object()), "AvailabilityZone");
  if (const Subnet* subnet = default_subnet(cluster, zone)) return subnet->id;
  return api::refuse("MissingInput", zone.empty() ? "No subnets found for the default VPC: name a subnet"
                                                  : fmt::format("No default subnet for availability zone: '{}'", zone));
}

Json reservation(const Control& c, const std::vector<const Instance*>& instances) {
  Json list = Json::array();
  for (const Instance* instance : instances) list.push_back(instance_json(c, *instance));
  return {{"ReservationId", "r-" + instances.front()->id.str().substr(2)},
          {"OwnerId", c.cluster.settings().account},
          {"Groups", Json::array()},
          {"Instances", std::move(list)}};
}

Json state_change(const std::string& id, const std::string& before, const std::string& now) {
  return {{"InstanceId", id}, {"PreviousState", state_json(before)}, {"CurrentState", state_json(now)}};
}

}  // namespace

Outcome<Json> run_instances(ControlPlane& plane, const CallContext&, const Json& input) {
  auto tags = tags_for(input.contains("TagSpecifications") ? Json{{"TagSpecifications",
                                                                   [&] {
                                                                     // Tags of volumes and interfaces are accepted with the
                                                                     // instance's and not kept.
                                                                     Json mine = Json::array();
                                                                     for (const auto& item : input.at("TagSpecifications")) {
                                                                       if (text(item, "ResourceType") == "instance")
                                                                         mine.push_back(item);
                                                                     }
                                                                     return mine;
                                                                   }()}}
                                                           : Json::object(),
                       "instance");
  if (!tags) return std::unexpected(tags.error());
  const int count = input.value("MaxCount", 1);
  if (count < 1 || input.value("MinCount", 1) > count) {
    return api::refuse("InvalidParameterValue", fmt::format("Value ({}) for parameter maxCount is invalid.", count));
  }
  return plane.with([&](Control& c) -> Outcome<Json> {
    const std::string token = text(input, "ClientToken");
    std::vector<const Instance*> launched;
    for (const auto& [id, instance] : c.cluster.instances()) {
      if (!token.empty() && instance.client_token == token) launched.push_back(&instance);
    }
    if (!launched.empty()) return reservation(c, launched);
    auto data = data_of_request(c, input);
    if (!data) return std::unexpected(data.error());
    if (auto checked = check_launch(c, *data); !checked) return std::unexpected(checked.error());
    auto subnet = subnet_of_request(c.cluster, input, *data);
    if (!subnet) return std::unexpected(subnet.error());
    auto ids = c.cluster.run_instances(c.now, c.random, *data, *subnet, count, *tags);
    if (!ids) return refuse_as(ids.error(), {{Code::resource_exhausted, "InsufficientFreeAddressesInSubnet"}});
    for (const auto& id : *ids) {
      Instance* instance = c.cluster.edit(id);
      instance->client_token = token;
      launched.push_back(instance);
    }
    return reservation(c, launched);
  });
}

Outcome<Json> terminate_instances(ControlPlane& plane, const CallContext&, const Json& input) {
  const auto ids = texts(input, "InstanceIds");
  return plane.with([&](Control& c) -> Outcome<Json> {
    for (const auto& id : ids) {
      if (!c.cluster.instances().contains(InstanceId(id))) return api::refuse("InvalidInstanceID.NotFound", no_instance(id));
    }
    Json changes = Json::array();
    for (const auto& id : ids) {
      const Instance& instance = c.cluster.instances().at(InstanceId(id));
      const std::string before = instance.state;
      if (auto ended = c.cluster.terminate_instance(c.now, c.random, InstanceId(id)); !ended) return refuse_as(ended.error(), {});
      changes.push_back(state_change(id, before, instance.state));
    }
    return Json{{"TerminatingInstances", std::move(changes)}};
  });
}

Outcome<Json> reboot_instances(ControlPlane& plane, const CallContext&, const Json& input) {
  return plane.with([&](Control& c) -> Outcome<Json> {
    const auto ids = texts(input, "InstanceIds");
    for (const auto& id : ids) {
      if (!c.cluster.instances().contains(InstanceId(id))) return api::refuse("InvalidInstanceID.NotFound", no_instance(id));
    }
    for (const auto& id : ids) {
      auto rebooted = c.cluster.reboot_instance(c.now, InstanceId(id));
      if (!rebooted) return refuse_as(rebooted.error(), {{Code::failed_precondition, "IncorrectState"}});
    }
    return Json::object();
  });
}

Outcome<Json> describe_instances(ControlPlane& plane, const CallContext&, const Json& input) {
  return plane.read([&](const Control& c) {
    return describe_records(input, "Reservations", "InstanceIds", c.cluster, c.cluster.instances(),
                            std::span<const Filter<Instance>>(kInstanceFilters), "InvalidInstanceID.NotFound", "instance",
                            [&](const Instance& instance) { return reservation(c, {&instance}); });
  });
}

Outcome<Json> describe_instance_status(ControlPlane& plane, const CallContext&, const Json& input) {
  return plane.read([&](const Control& c) {
    Json asked = input;
    if (!input.value("IncludeAllInstances", false)) {
      if (!asked.contains("Filters")) asked["Filters"] = Json::array();
      asked["Filters"].push_back({{"Name", "instance-state-name"}, {"Values", {"running"}}});
    }
    return describe_records(asked, "InstanceStatuses", "InstanceIds", c.cluster, c.cluster.instances(),
                            std::span<const Filter<Instance>>(kInstanceFilters), "InvalidInstanceID.NotFound", "instance",
                            [](const Instance& instance) {
                              const Json status{{"Status", instance.state == "running" ? "ok" : "not-applicable"}};
                              return Json{{"InstanceId", instance.id.str()},
                                          {"AvailabilityZone", instance.zone},
                                          {"InstanceState", state_json(instance.state)},
                                          {"InstanceStatus", status},
                                          {"SystemStatus", status}};
                            });
  });
}

}  // namespace berth::services::ec2

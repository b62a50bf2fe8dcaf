#include "broker/services/autoscaling/group_input.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "cluster_sim/images.hpp"

namespace berth::services::autoscaling {
namespace {

using namespace cluster_sim;

constexpr std::array kNotBuilt{"LaunchConfigurationName", "InstanceId",     "TargetGroupARNs",
                               "LoadBalancerNames",       "TrafficSources", "LifecycleHookSpecificationList"};

// Carried as they are and answered by Describe.
constexpr std::array kCarried{"DefaultCooldown",
                              "HealthCheckType",
                              "HealthCheckGracePeriod",
                              "TerminationPolicies",
                              "ServiceLinkedRoleARN",
                              "CapacityRebalance",
                              "MaxInstanceLifetime",
                              "DefaultInstanceWarmup",
                              "DesiredCapacityType",
                              "Context",
                              "InstanceMaintenancePolicy",
                              "PlacementGroup",
                              "AvailabilityZoneDistribution"};

const LaunchTemplate* find_template(const Cluster& cluster, const std::string& id, const std::string& name) {
  for (const auto& [key, found] : cluster.launch_templates()) {
    if (id.empty() ? found.name == name : key.str() == id) return &found;
  }
  return nullptr;
}

int version_number(const LaunchTemplate& found, const std::string& version) {
  if (version.empty() || version == "$Default") return found.default_version;
  if (version == "$Latest") return found.versions.rbegin()->first;
  return version.size() < 9 && version.find_first_not_of("0123456789") == std::string::npos ? std::stoi(version) : 0;
}

// The template must be launchable now: what it names exists. Completes the specification with id and name, as AWS answers it.
Outcome<void> use_template(const Cluster& cluster, const credentials::Identities& identities, Json& specification,
                           AutoScalingGroup& group, bool type_needed) {
  const std::string id = text(specification, "LaunchTemplateId"), name = text(specification, "LaunchTemplateName");
  if (id.empty() == name.empty()) return invalid("Valid requests must contain either launchTemplateId or LaunchTemplateName");
  const LaunchTemplate* found = find_template(cluster, id, name);
  if (!found) {
    return invalid(fmt::format(
        "You must use a valid fully-formed launch template. The specified launch template, with template {} {}, does not exist.",
        id.empty() ? "name" : "ID", id.empty() ? name : id));
  }
  const std::string version = text(specification, "Version");
  auto data = found->versions.find(version_number(*found, version));
  if (data == found->versions.end()) {
    return invalid(
        fmt::format("You must use a valid fully-formed launch template. Could not find the specified version {} for the launch "
                    "template with ID {}.",
                    version, found->id.str()));
  }
  const std::string& image = data->second.image_id;
  if (!find_image(image)) {
    return invalid(fmt::format("You must use a valid fully-formed launch template. The image id '[{}]' does not exist", image));
  }
  if (type_needed && !find_instance_type(data->second.instance_type)) {
    return invalid(
        fmt::format("You must use a valid fully-formed launch template. Instance type '{}' is not one that Berth simulates",
                    data->second.instance_type));
  }
  if (const auto& profile = data->second.instance_profile; !profile.empty() && !identities.find_instance_profile(profile)) {
    return invalid(
        fmt::format("You must use a valid fully-formed launch template. Value ({}) for parameter iamInstanceProfile.name is "
                    "invalid. Invalid IAM "
                    "Instance Profile name",
                    profile));
  }
  specification["LaunchTemplateId"] = found->id.str();
  specification["LaunchTemplateName"] = found->name;
  group.launch_template = found->id;
  group.launch_template_version = version.empty() ? "$Default" : version;
  return {};
}

void by_price(std::vector<std::string>& types) {
  std::ranges::stable_sort(types, {}, [](const std::string& name) {
    const InstanceType* type = find_instance_type(name);
    return std::pair(type->memory_mib, type->vcpus);
  });
}

Outcome<void> use_mixed_policy(const Cluster& cluster, const credentials::Identities& identities, Json& policy,
                               AutoScalingGroup& group) {
  auto chosen = policy.find("LaunchTemplate");
  if (chosen == policy.end() || !chosen->contains("LaunchTemplateSpecification"))
    return invalid("A mixed instances policy must contain a launch template.");
  std::vector<std::string> types;
  for (const auto& override_ : chosen->value("Overrides", Json::array())) {
    if (override_.contains("WeightedCapacity") || override_.contains("InstanceRequirements") ||
        override_.contains("LaunchTemplateSpecification")) {
      return api::refuse("NotImplemented", "Berth takes InstanceType alone in the overrides of a mixed instances policy");
    }
    types.push_back(text(override_, "InstanceType"));
    if (!find_instance_type(types.back()))
      return invalid(
          fmt::format("The specified instance type '{}' is not valid: Berth simulates the t2, t3 and m5 families", types.back()));
  }
  if (auto used = use_template(cluster, identities, (*chosen)["LaunchTemplateSpecification"], group, types.empty()); !used)
    return used;
  if (types.empty()) {
    const LaunchTemplate& found = cluster.launch_templates().at(group.launch_template);
    types.push_back(found.versions.at(version_number(found, group.launch_template_version)).instance_type);
  }
  const Json distribution = policy.value("InstancesDistribution", Json::object());
  group.on_demand_base = distribution.value("OnDemandBaseCapacity", 0);
  group.on_demand_percentage = distribution.value("OnDemandPercentageAboveBaseCapacity", 100);
  if (group.on_demand_base < 0 || group.on_demand_percentage < 0 || group.on_demand_percentage > 100) {
    return invalid("OnDemandPercentageAboveBaseCapacity must be between 0 and 100 and OnDemandBaseCapacity not negative");
  }
  // All other strategies end with one pool here: capacity is never short.
  const std::string strategy = distribution.value("SpotAllocationStrategy", "lowest-price");
  group.spot_pools = strategy == "lowest-price" ? distribution.value("SpotInstancePools", 2U) : 1;
  if (distribution.value("OnDemandAllocationStrategy", "prioritized") == "lowest-price") by_price(types);
  group.instance_types = std::move(types);
  return {};
}

Outcome<void> use_subnets(const Cluster& cluster, const Json& input, AutoScalingGroup& group) {
  std::vector<SubnetId> subnets;
  const std::string list = text(input, "VPCZoneIdentifier");
  for (std::size_t at = 0; at < list.size();) {
    const std::size_t comma = std::min(list.find(',', at), list.size());
    std::string id = list.substr(at, comma - at);
    std::erase(id, ' ');
    if (!id.empty()) subnets.emplace_back(std::move(id));
    at = comma + 1;
  }
  const auto zones = texts(input, "AvailabilityZones");
  for (const auto& id : subnets) {
    auto found = cluster.subnets().find(id);
    if (found == cluster.subnets().end()) return invalid(fmt::format("The subnet ID '{}' does not exist", id.str()));
    if (!zones.empty() && std::ranges::find(zones, found->second.zone) == zones.end()) {
      return invalid("The availability zones of the specified subnets and the Auto Scaling group do not match");
    }
  }
  if (!subnets.empty()) group.subnets = std::move(subnets);
  if (group.subnets.empty())
    return invalid("At least one VPC Subnet is required in VPCZoneIdentifier: Berth has no default VPC.");
  return {};
}

}  // namespace

std::string text(const Json& input, const char* member) {
  auto found = input.find(member);
  return found == input.end() || !found->is_string() ? std::string() : found->get<std::string>();
}

std::vector<std::string> texts(const Json& input, const char* member) {
  auto found = input.find(member);
  return found == input.end() || !found->is_array() ? std::vector<std::string>() : found->get<std::vector<std::string>>();
}

std::unexpected<api::ApiError> invalid(std::string message) { return api::refuse("ValidationError", std::move(message)); }

void read_tag(const Json& tag, AutoScalingGroup& group) {
  const std::string key = text(tag, "Key");
  group.tags[key] = text(tag, "Value");
  if (tag.value("PropagateAtLaunch", false))
    group.propagated_tags.insert(key);
  else
    group.propagated_tags.erase(key);
}

Outcome<void> read_group(const Cluster& cluster, const credentials::Identities& identities, const Json& input,
                         AutoScalingGroup& group) {
  for (const char* member : kNotBuilt) {
    if (auto found = input.find(member); found != input.end() && !found->empty()) {
      return api::refuse("NotImplemented", fmt::format("Berth's Auto Scaling groups don't take {} yet", member));
    }
  }
  Json document = group.document.empty() ? Json::object() : Json::parse(group.document);
  for (const char* member : kCarried) {
    if (auto found = input.find(member); found != input.end()) document[member] = *found;
  }
  if (input.contains("LaunchTemplate") && input.contains("MixedInstancesPolicy")) {
    return invalid(
        "Valid requests must contain either launchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy "
        "parameter.");
  }
  if (auto found = input.find("LaunchTemplate"); found != input.end()) {
    Json specification = *found;
    if (auto used = use_template(cluster, identities, specification, group, true); !used) return used;
    group.instance_types.clear();
    document["LaunchTemplate"] = std::move(specification);
    document.erase("MixedInstancesPolicy");
  }
  if (auto found = input.find("MixedInstancesPolicy"); found != input.end()) {
    Json policy = *found;
    if (auto used = use_mixed_policy(cluster, identities, policy, group); !used) return used;
    document["MixedInstancesPolicy"] = std::move(policy);
    document.erase("LaunchTemplate");
  }
  if (group.launch_template.empty()) {
    return invalid(
        "Valid requests must contain either launchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy "
        "parameter.");
  }
  if (auto used = use_subnets(cluster, input, group); !used) return used;
  if (auto found = input.find("NewInstancesProtectedFromScaleIn"); found != input.end())
    group.protect_new_instances = found->get<bool>();
  group.document = document.dump();
  return {};
}

}  // namespace berth::services::autoscaling

#include "broker/services/autoscaling/service.hpp"

#include <nlohmann/json.hpp>

#include "broker/control/control_plane.hpp"
#include "broker/services/autoscaling/group_input.hpp"
#include "broker/services/autoscaling/operations.hpp"

namespace berth::services::autoscaling {
namespace {

using api::ResourceAccess;
using api::ResourcesOf;
using Accesses = Outcome<std::vector<ResourceAccess>>;
using cluster_sim::GroupName;

ResourceAccess access_to(const ControlPlane& plane, const std::string& name) {
  return plane.read([&](const control::Control& c) {
    auto found = c.cluster.groups().find(GroupName(name));
    if (found == c.cluster.groups().end()) {
      const std::string arn =
          "arn:aws:autoscaling:" + plane.region() + ":" + plane.account() + ":autoScalingGroup:*:autoScalingGroupName/" + name;
      return ResourceAccess{.arn = arn, .conditions = {}, .action = {}, .resource_policy = {}};
    }
    ResourceAccess access{.arn = found->second.arn, .conditions = {}, .action = {}, .resource_policy = {}};
    for (const auto& [key, value] : found->second.tags) access.conditions.emplace("aws:ResourceTag/" + key, value);
    return access;
  });
}

void add_request_tags(ResourceAccess& access, const Json& tags) {
  for (const auto& tag : tags) {
    access.conditions.emplace("aws:RequestTag/" + text(tag, "Key"), text(tag, "Value"));
    access.conditions.emplace("aws:TagKeys", text(tag, "Key"));
  }
}

ResourcesOf named_group(ControlPlane& plane) {
  return [&plane](const CallContext&, const Json& input) -> Accesses {
    auto access = access_to(plane, text(input, "AutoScalingGroupName"));
    add_request_tags(access, input.value("Tags", Json::array()));
    return std::vector{std::move(access)};
  };
}

ResourcesOf tagged_groups(ControlPlane& plane) {
  return [&plane](const CallContext&, const Json& input) -> Accesses {
    std::vector<ResourceAccess> accesses;
    for (const auto& tag : input.at("Tags")) {
      accesses.push_back(access_to(plane, text(tag, "ResourceId")));
      add_request_tags(accesses.back(), Json::array({tag}));
    }
    return accesses;
  };
}

ResourcesOf group_of_instance(ControlPlane& plane) {
  return [&plane](const CallContext&, const Json& input) -> Accesses {
    const cluster_sim::InstanceId id(text(input, "InstanceId"));
    const std::string name = plane.read([&](const control::Control& c) {
      auto found = c.cluster.instances().find(id);
      return found == c.cluster.instances().end() ? std::string("*") : found->second.group.str();
    });
    return std::vector{access_to(plane, name)};
  };
}

}  // namespace

api::Service make_autoscaling(ControlPlane& plane) {
  const auto row = [&plane](const char* name, ResourcesOf resources, Operation* operation) {
    return api::Operation{
        name, std::string("autoscaling:") + name, std::move(resources),
        [&plane, operation](const CallContext& context, const Json& input) { return operation(plane, context, input); }};
  };
  const auto any = api::any_resource();
  const auto group = named_group(plane);
  return {
      .model = "autoscaling",
      .signing_names = {"autoscaling"},
      .operations =
          {
              row("CreateAutoScalingGroup", group, create_auto_scaling_group),
              row("UpdateAutoScalingGroup", group, update_auto_scaling_group),
              row("DeleteAutoScalingGroup", group, delete_auto_scaling_group),
              row("DescribeAutoScalingGroups", any, describe_auto_scaling_groups),
              row("SetDesiredCapacity", group, set_desired_capacity),
              row("SetInstanceProtection", group, set_instance_protection),
              row("TerminateInstanceInAutoScalingGroup", group_of_instance(plane), terminate_instance),
              row("DescribeAutoScalingInstances", any, describe_auto_scaling_instances),
              row("DescribeScalingActivities", any, describe_scaling_activities),
              row("CreateOrUpdateTags", tagged_groups(plane), create_or_update_tags),
              row("DeleteTags", tagged_groups(plane), delete_tags),
              row("DescribeTags", any, describe_tags),
          },
  };
}

}  // namespace berth::services::autoscaling

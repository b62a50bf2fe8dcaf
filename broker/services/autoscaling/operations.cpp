#include "broker/services/autoscaling/operations.hpp"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "broker/base/encoding.hpp"
#include "broker/control/control_plane.hpp"
#include "broker/services/autoscaling/group_input.hpp"

namespace berth::services::autoscaling {
namespace {

using namespace cluster_sim;
using control::Control;

std::optional<int> number(const Json& input, const char* member) {
  auto found = input.find(member);
  if (found == input.end()) return std::nullopt;
  return found->get<int>();
}

std::unexpected<api::ApiError> refused(const Error& error) {
  if (error.code == Code::already_exists) return api::refuse("AlreadyExists", error.message);
  if (error.code == Code::failed_precondition) return api::refuse("ResourceInUse", error.message);
  return invalid(error.message);
}

std::unexpected<api::ApiError> no_group(const std::string& name) {
  return invalid(fmt::format("AutoScalingGroup name not found - AutoScalingGroup '{}' not found", name));
}

std::string lifecycle_state(const Instance& instance) {
  if (instance.state == "pending") return "Pending";
  if (instance.state == "running") return "InService";
  return instance.state == "terminated" ? "Terminated" : "Terminating";
}

Json template_of(const AutoScalingGroup& group) {
  const Json document = Json::parse(group.document);
  if (auto found = document.find("LaunchTemplate"); found != document.end()) return *found;
  return document.at("MixedInstancesPolicy").at("LaunchTemplate").at("LaunchTemplateSpecification");
}

Json instance_json(const AutoScalingGroup& group, const Instance& instance) {
  return {{"InstanceId", instance.id.str()},
          {"InstanceType", instance.type},
          {"AvailabilityZone", instance.zone},
          {"LifecycleState", lifecycle_state(instance)},
          {"HealthStatus", alive(instance) ? "Healthy" : "Unhealthy"},
          {"LaunchTemplate", template_of(group)},
          {"ProtectedFromScaleIn", instance.protected_from_scale_in}};
}

Json tag_json(const AutoScalingGroup& group, const std::string& key, const std::string& value) {
  return {{"ResourceId", group.name.str()},
          {"ResourceType", "auto-scaling-group"},
          {"Key", key},
          {"Value", value},
          {"PropagateAtLaunch", group.propagated_tags.contains(key)}};
}

Json group_json(const Cluster& cluster, const AutoScalingGroup& group) {
  Json json{
      {"DefaultCooldown", 300}, {"HealthCheckType", "EC2"}, {"HealthCheckGracePeriod", 0}, {"TerminationPolicies", {"Default"}}};
  json.update(Json::parse(group.document));
  std::vector<std::string> zones, subnets;
  for (const auto& id : group.subnets) {
    subnets.push_back(id.str());
    auto found = cluster.subnets().find(id);
    if (found != cluster.subnets().end() && std::ranges::find(zones, found->second.zone) == zones.end())
      zones.push_back(found->second.zone);
  }
  Json instances = Json::array(), tags = Json::array();
  for (const auto& [id, instance] : cluster.instances()) {
    if (instance.group == group.name && instance.state != "terminated") instances.push_back(instance_json(group, instance));
  }
  for (const auto& [key, value] : group.tags) tags.push_back(tag_json(group, key, value));
  json.update({{"AutoScalingGroupName", group.name.str()},
               {"AutoScalingGroupARN", group.arn},
               {"MinSize", group.min_size},
               {"MaxSize", group.max_size},
               {"DesiredCapacity", group.desired},
               {"AvailabilityZones", zones},
               {"VPCZoneIdentifier", fmt::format("{}", fmt::join(subnets, ","))},
               {"CreatedTime", to_epoch_seconds(group.created)},
               {"NewInstancesProtectedFromScaleIn", group.protect_new_instances},
               {"LoadBalancerNames", Json::array()},
               {"TargetGroupARNs", Json::array()},
               {"SuspendedProcesses", Json::array()},
               {"EnabledMetrics", Json::array()},
               {"Instances", std::move(instances)},
               {"Tags", std::move(tags)}});
  return json;
}

Json activity_json(const AutoScalingGroup& group, const AutoScalingGroup::Activity& activity) {
  Json json{{"ActivityId", activity.id},
            {"AutoScalingGroupName", group.name.str()},
            {"AutoScalingGroupARN", group.arn},
            {"Description", activity.description},
            {"Cause", activity.cause},
            {"StartTime", to_epoch_seconds(activity.started)},
            {"EndTime", to_epoch_seconds(activity.ended)},
            {"StatusCode", activity.status},
            {"Progress", 100},
            {"Details", "{}"}};
  if (activity.status == "Failed") json["StatusMessage"] = activity.description.substr(0, 255);
  return json;
}

using Items = std::vector<std::pair<std::string, Json>>;

// MaxRecords (50 by default, 100 at most) and NextToken.
Outcome<Json> page(const Json& input, const char* list, Items items) {
  Json answer = Json::object();
  auto from = items.begin();
  if (const std::string token = text(input, "NextToken"); !token.empty()) {
    const auto last = base64_decode(token);
    if (!last) return api::refuse("InvalidNextToken", "The token '" + token + "' is invalid");
    from = std::ranges::find_if(items, [&](const auto& item) { return item.first == *last; });
    if (from != items.end()) ++from;
  }
  const auto size = std::clamp(input.value("MaxRecords", 50), 1, 100);
  const auto to = from + std::min<std::ptrdiff_t>(size, items.end() - from);
  Json& shown = answer[list] = Json::array();
  for (auto at = from; at != to; ++at) shown.push_back(std::move(at->second));
  if (to != items.end()) answer["NextToken"] = base64_encode((to - 1)->first);
  return answer;
}

bool listed(const std::vector<std::string>& names, const std::string& name) {
  return names.empty() || std::ranges::find(names, name) != names.end();
}

// tag-key, tag-value, tag:KEY.
Outcome<bool> passes_filters(const Json& input, const AutoScalingGroup& group) {
  for (const auto& filter : input.value("Filters", Json::array())) {
    const std::string name = text(filter, "Name");
    const auto values = texts(filter, "Values");
    const auto wanted = [&](const std::string& value) { return std::ranges::find(values, value) != values.end(); };
    bool passes = false;
    if (name == "tag-key")
      passes = std::ranges::any_of(group.tags, [&](const auto& tag) { return wanted(tag.first); });
    else if (name == "tag-value")
      passes = std::ranges::any_of(group.tags, [&](const auto& tag) { return wanted(tag.second); });
    else if (name.starts_with("tag:"))
      passes = group.tags.contains(name.substr(4)) && wanted(group.tags.at(name.substr(4)));
    else
      return invalid(fmt::format("Filter type {} is not correct. Allowed Filter types are: tag-key, tag-value, tag:<key>", name));
    if (!passes) return false;
  }
  return true;
}

}  // namespace

Outcome<Json> create_auto_scaling_group(ControlPlane& plane, const CallContext&, const Json& input) {
  return plane.with([&](Control& c) -> Outcome<Json> {
    AutoScalingGroup group;
    group.name = GroupName(text(input, "AutoScalingGroupName"));
    if (c.cluster.groups().contains(group.name)) {
      return api::refuse("AlreadyExists",
                         fmt::format("AutoScalingGroup by this name already exists - A group with the name {} already exists",
                                     group.name.str()));
    }
    if (auto read = read_group(c.cluster, *c.identities, input, group); !read) return std::unexpected(read.error());
    group.min_size = input.at("MinSize").get<int>();
    group.max_size = input.at("MaxSize").get<int>();
    group.desired = input.value("DesiredCapacity", group.min_size);
    for (const auto& tag : input.value("Tags", Json::array())) read_tag(tag, group);
    if (auto made = c.cluster.create_group(c.now, c.random, std::move(group)); !made) return refused(made.error());
    return Json::object();
  });
}

Outcome<Json> update_auto_scaling_group(ControlPlane& plane, const CallContext&, const Json& input) {
  const GroupName name(text(input, "AutoScalingGroupName"));
  return plane.with([&](Control& c) -> Outcome<Json> {
    auto found = c.cluster.groups().find(name);
    if (found == c.cluster.groups().end()) return no_group(name.str());
    AutoScalingGroup changed = found->second;
    if (auto read = read_group(c.cluster, *c.identities, input, changed); !read) return std::unexpected(read.error());
    AutoScalingGroup before = found->second;
    *c.cluster.edit(name) = std::move(changed);
    auto updated = c.cluster.update_group(c.now, c.random, name, number(input, "MinSize"), number(input, "MaxSize"),
                                          number(input, "DesiredCapacity"));
    if (!updated) {
      *c.cluster.edit(name) = std::move(before);
      return refused(updated.error());
    }
    return Json::object();
  });
}

Outcome<Json> delete_auto_scaling_group(ControlPlane& plane, const CallContext&, const Json& input) {
  const GroupName name(text(input, "AutoScalingGroupName"));
  const bool force = input.value("ForceDelete", false);
  return plane.with([&](Control& c) -> Outcome<Json> {
    const bool ending = std::ranges::any_of(c.cluster.instances(), [&](const auto& item) {
      return item.second.group == name && item.second.state == "shutting-down";
    });
    if (ending && !force && c.cluster.groups().contains(name)) {
      return api::refuse("ScalingActivityInProgress",
                         "You cannot delete an AutoScalingGroup while there are scaling activities in progress for that group.");
    }
    if (auto gone = c.cluster.delete_group(c.now, c.random, name, force); !gone) return refused(gone.error());
    return Json::object();
  });
}

Outcome<Json> describe_auto_scaling_groups(ControlPlane& plane, const CallContext&, const Json& input) {
  const auto names = texts(input, "AutoScalingGroupNames");
  return plane.read([&](const Control& c) -> Outcome<Json> {
    Items items;
    for (const auto& [name, group] : c.cluster.groups()) {
      auto passes = passes_filters(input, group);
      if (!passes) return std::unexpected(passes.error());
      if (*passes && listed(names, name.str())) items.emplace_back(name.str(), group_json(c.cluster, group));
    }
    return page(input, "AutoScalingGroups", std::move(items));
  });
}

Outcome<Json> set_desired_capacity(ControlPlane& plane, const CallContext&, const Json& input) {
  const GroupName name(text(input, "AutoScalingGroupName"));
  const int desired = input.at("DesiredCapacity").get<int>();
  return plane.with([&](Control& c) -> Outcome<Json> {
    auto found = c.cluster.groups().find(name);
    if (found == c.cluster.groups().end()) return no_group(name.str());
    const AutoScalingGroup& group = found->second;
    if (desired > group.max_size) {
      return invalid(fmt::format("New SetDesiredCapacity value {} is above max value {} for the AutoScalingGroup.", desired,
                                 group.max_size));
    }
    if (desired < group.min_size) {
      return invalid(fmt::format("New SetDesiredCapacity value {} is below min value {} for the AutoScalingGroup.", desired,
                                 group.min_size));
    }
    if (auto updated = c.cluster.update_group(c.now, c.random, name, {}, {}, desired); !updated) return refused(updated.error());
    return Json::object();
  });
}

Outcome<Json> set_instance_protection(ControlPlane& plane, const CallContext&, const Json& input) {
  const std::string name = text(input, "AutoScalingGroupName");
  const auto ids = texts(input, "InstanceIds");
  return plane.with([&](Control& c) -> Outcome<Json> {
    for (const auto& id : ids) {
      auto found = c.cluster.instances().find(InstanceId(id));
      if (found == c.cluster.instances().end() || found->second.group.str() != name) {
        return invalid(fmt::format("The instance {} is not part of Auto Scaling group {}.", id, name));
      }
    }
    for (const auto& id : ids)
      c.cluster.edit(InstanceId(id))->protected_from_scale_in = input.at("ProtectedFromScaleIn").get<bool>();
    return Json::object();
  });
}

Outcome<Json> terminate_instance(ControlPlane& plane, const CallContext&, const Json& input) {
  const InstanceId id(text(input, "InstanceId"));
  return plane.with([&](Control& c) -> Outcome<Json> {
    auto found = c.cluster.instances().find(id);
    const GroupName name = found == c.cluster.instances().end() ? GroupName() : found->second.group;
    auto ended = c.cluster.terminate_in_group(c.now, c.random, id, input.at("ShouldDecrementDesiredCapacity").get<bool>());
    if (!ended) return refused(ended.error());
    const AutoScalingGroup& group = c.cluster.groups().at(name);
    // The replacement's launch may have been noted behind it.
    const auto activity = std::ranges::find_if(group.activities.rbegin(), group.activities.rend(),
                                               [&](const auto& a) { return a.description.ends_with(id.str()); });
    return Json{{"Activity", activity_json(group, activity == group.activities.rend() ? group.activities.back() : *activity)}};
  });
}

Outcome<Json> describe_auto_scaling_instances(ControlPlane& plane, const CallContext&, const Json& input) {
  const auto ids = texts(input, "InstanceIds");
  return plane.read([&](const Control& c) {
    Items items;
    for (const auto& [id, instance] : c.cluster.instances()) {
      auto group = c.cluster.groups().find(instance.group);
      if (group == c.cluster.groups().end() || instance.state == "terminated" || !listed(ids, id.str())) continue;
      Json json = instance_json(group->second, instance);
      json["AutoScalingGroupName"] = instance.group.str();
      if (json["HealthStatus"] == "Healthy") json["HealthStatus"] = "HEALTHY";
      items.emplace_back(id.str(), std::move(json));
    }
    return page(input, "AutoScalingInstances", std::move(items));
  });
}

// The newest first.
Outcome<Json> describe_scaling_activities(ControlPlane& plane, const CallContext&, const Json& input) {
  const std::string name = text(input, "AutoScalingGroupName");
  const auto ids = texts(input, "ActivityIds");
  return plane.read([&](const Control& c) -> Outcome<Json> {
    if (!name.empty() && !c.cluster.groups().contains(GroupName(name))) return no_group(name);
    Items items;
    for (const auto& [key, group] : c.cluster.groups()) {
      if (!name.empty() && key.str() != name) continue;
      for (auto activity = group.activities.rbegin(); activity != group.activities.rend(); ++activity) {
        if (listed(ids, activity->id)) items.emplace_back(activity->id, activity_json(group, *activity));
      }
    }
    return page(input, "Activities", std::move(items));
  });
}

Outcome<Json> create_or_update_tags(ControlPlane& plane, const CallContext&, const Json& input) {
  return plane.with([&](Control& c) -> Outcome<Json> {
    for (const auto& tag : input.at("Tags")) {
      if (!c.cluster.groups().contains(GroupName(text(tag, "ResourceId")))) return no_group(text(tag, "ResourceId"));
    }
    for (const auto& tag : input.at("Tags")) read_tag(tag, *c.cluster.edit(GroupName(text(tag, "ResourceId"))));
    return Json::object();
  });
}

Outcome<Json> delete_tags(ControlPlane& plane, const CallContext&, const Json& input) {
  return plane.with([&](Control& c) -> Outcome<Json> {
    for (const auto& tag : input.at("Tags")) {
      AutoScalingGroup* group = c.cluster.edit(GroupName(text(tag, "ResourceId")));
      if (!group) return no_group(text(tag, "ResourceId"));
      group->tags.erase(text(tag, "Key"));
      group->propagated_tags.erase(text(tag, "Key"));
    }
    return Json::object();
  });
}

Outcome<Json> describe_tags(ControlPlane& plane, const CallContext&, const Json& input) {
  return plane.read([&](const Control& c) -> Outcome<Json> {
    Items items;
    for (const auto& [name, group] : c.cluster.groups()) {
      for (const auto& [key, value] : group.tags) {
        bool passes = true;
        for (const auto& filter : input.value("Filters", Json::array())) {
          const std::string field = text(filter, "Name");
          const std::string propagated = group.propagated_tags.contains(key) ? "true" : "false";
          const std::string seen = field == "auto-scaling-group" ? name.str()
                                   : field == "key"              ? key
                                   : field == "value"            ? value
                                                                 : propagated;
          const auto wanted = texts(filter, "Values");
          if (field != "auto-scaling-group" && field != "key" && field != "value" && field != "propagate-at-launch") {
            return invalid(fmt::format("Filter type {} is not correct.", field));
          }
          passes = passes && std::ranges::find(wanted, seen) != wanted.end();
        }
        if (passes) items.emplace_back(name.str() + "/" + key, tag_json(group, key, value));
      }
    }
    return page(input, "Tags", std::move(items));
  });
}

}  // namespace berth::services::autoscaling

#include "broker/services/ecs/launch_plan.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "broker/control/control_plane.hpp"
#include "broker/services/ecs/clusters.hpp"
#include "broker/services/ecs/definition.hpp"
#include "broker/services/ecs/definition_store.hpp"
#include "broker/services/ecs/documents.hpp"
#include "broker/services/ecs/errors.hpp"
#include "broker/services/ecs/not_built.hpp"
#include "broker/services/ecs/overrides.hpp"
#include "broker/services/ecs/roles.hpp"
#include "broker/services/ecs/tag_list.hpp"

namespace berth::services::ecs {

using cluster_sim::LaunchType;
using cluster_sim::RunTask;

namespace {

constexpr int kCountMax = 10;
constexpr std::size_t kSubnetsMax = 16, kSecurityGroupsMax = 5, kStrategiesMax = 5, kConstraintsMax = 10, kStartedByMax = 128;

// What the plan is made from, and the plan as far as it is.
struct Draft {
  const Parts& parts;
  const CallContext& context;
  const Json& input;
  Home home;
  cluster_sim::EcsCluster cluster;
  Json registered;  // the definition, and with the overrides in:
  Json effective;
  RunTask request;
  bool fargate() const { return request.launch_type == LaunchType::fargate; }
};

Outcome<void> load(Draft& draft) {
  const auto cluster = cluster_of(draft.home, draft.input);
  if (!cluster) return refused(cluster);
  const auto name = read_task_definition(draft.home, text_of(draft.input, "taskDefinition"));
  if (!name) return refused(name);
  auto text = draft.parts.plane.read([&](const control::Control& c) -> Outcome<std::string> {
    const auto found = need_cluster(c, *cluster);
    if (!found) return refused(found);
    draft.cluster = **found;
    auto definition = find_definition(c.documents, *name);
    if (!definition) return client_error("TaskDefinition not found.");
    return std::move(definition->text);
  });
  if (!text) return refused(text);
  draft.registered = Json::parse(*text);
  if (text_of(draft.registered, "status") != "ACTIVE") return invalid("TaskDefinition is inactive");
  draft.request.cluster = draft.cluster.name;
  return {};
}

Outcome<void> override_definition(Draft& draft) {
  auto effective = apply_overrides(draft.home, draft.registered, draft.input.value("overrides", Json::object()));
  if (!effective) return refused(effective);
  draft.effective = std::move(*effective);
  if (const auto missing = not_built_in_call(draft.input)) return api::refuse("UnsupportedFeatureException", *missing);
  if (const auto missing = not_built_in_definition(draft.effective)) return api::refuse("UnsupportedFeatureException", *missing);
  draft.request.requirements = requirements_of(draft.effective);
  return {};
}

// launchType, else the call's strategy, else the cluster's default strategy, else EC2.
Outcome<void> choose_capacity(Draft& draft) {
  const auto& given = list_of(draft.input, "capacityProviderStrategy");
  if (draft.input.contains("launchType")) {
    if (!given.empty())
      return invalid("Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.");
    draft.request.launch_type = text_of(draft.input, "launchType") == "FARGATE" ? LaunchType::fargate : LaunchType::ec2;
    return {};
  }
  const auto document = parse_document(draft.cluster);
  const auto& strategy = given.empty() ? list_of(document, "defaultCapacityProviderStrategy") : given;
  if (auto checked = check_strategy(strategy, draft.cluster.capacity_providers); !checked) return checked;
  for (const auto& item : strategy)
    draft.request.capacity.push_back({text_of(item, "capacityProvider"), item.value("base", 0), item.value("weight", 0)});
  if (!draft.request.capacity.empty()) draft.request.launch_type = LaunchType::fargate;
  return {};
}

Outcome<void> check_platform(const Draft& draft) {
  const auto version = draft.input.value("platformVersion", "LATEST");
  if (!draft.fargate()) {
    if (draft.input.contains("platformVersion"))
      return invalid("The platform version must be null when specifying an EC2 launch type.");
    return {};
  }
  const auto& suits = list_of(draft.registered, "compatibilities");
  if (std::find(suits.begin(), suits.end(), "FARGATE") == suits.end())
    return invalid("Task definition does not support launch_type FARGATE.");
  if (const auto problem = fargate_problem(draft.effective)) return client_error("{}", *problem);
  if (version == "LATEST" || version == "1.4.0") return {};
  if (version != "1.3.0") return api::refuse("PlatformUnknownException", "The specified platform does not exist.");
  // EFS volumes came with 1.4.0.
  for (const auto& volume : list_of(draft.effective, "volumes"))
    if (volume.contains("efsVolumeConfiguration"))
      return api::refuse("PlatformTaskDefinitionIncompatibilityException",
                         "One or more of the requested capabilities are not supported.");
  return {};
}

Outcome<void> set_network(Draft& draft) {
  const auto configuration = draft.input.value("networkConfiguration", Json::object()).value("awsvpcConfiguration", Json());
  if (!is_awsvpc(draft.effective)) {
    if (!configuration.is_null())
      return invalid("Network Configuration is not valid for the given networkMode of this task definition.");
    return {};
  }
  if (configuration.is_null()) return invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.");
  const auto& subnets = list_of(configuration, "subnets");
  const auto& groups = list_of(configuration, "securityGroups");
  if (subnets.empty()) return invalid("subnets can not be empty.");
  if (subnets.size() > kSubnetsMax) return invalid("At most {} subnets can be given.", kSubnetsMax);
  if (groups.size() > kSecurityGroupsMax) return invalid("At most {} security groups can be given.", kSecurityGroupsMax);
  if (text_of(configuration, "assignPublicIp") == "ENABLED" && !draft.fargate())
    return invalid("Assign public IP is not supported for this launch type.");
  for (const auto& subnet : subnets) draft.request.subnets.emplace_back(subnet.get<std::string>());
  for (const auto& group : groups) draft.request.security_groups.emplace_back(group.get<std::string>());
  return {};
}

Outcome<void> set_placement(Draft& draft) {
  using Constraint = cluster_sim::PlacementConstraint;
  using Strategy = cluster_sim::PlacementStrategy;
  const auto& constraints = list_of(draft.input, "placementConstraints");
  const auto& strategies = list_of(draft.input, "placementStrategy");
  if (draft.fargate() && !constraints.empty())
    return invalid("Placement constraints are not supported with FARGATE launch type.");
  if (draft.fargate() && !strategies.empty()) return invalid("Placement strategies are not supported with FARGATE launch type.");
  if (constraints.size() + draft.request.requirements.constraints.size() > kConstraintsMax)
    return invalid("Too many placement constraints. The maximum is {}.", kConstraintsMax);
  if (strategies.size() > kStrategiesMax) return invalid("Too many placement strategies. The maximum is {}.", kStrategiesMax);
  for (const auto& item : constraints) {
    const bool distinct = text_of(item, "type") == "distinctInstance";
    if (distinct && !text_of(item, "expression").empty())
      return invalid("A distinctInstance placement constraint takes no expression.");
    draft.request.constraints.push_back(
        {distinct ? Constraint::Kind::distinct_instance : Constraint::Kind::member_of, text_of(item, "expression")});
  }
  for (const auto& item : strategies) {
    const auto type = text_of(item, "type");
    const auto kind = type == "binpack"  ? Strategy::Kind::binpack
                      : type == "spread" ? Strategy::Kind::spread
                                         : Strategy::Kind::random;
    draft.request.strategy.push_back({kind, text_of(item, "field")});
  }
  return {};
}

Outcome<void> check_roles(const Draft& draft) {
  const auto identities = draft.parts.plane.identities();
  for (const auto* member : {"taskRoleArn", "executionRoleArn"}) {
    const auto role = text_of(draft.effective, member);
    if (role.empty()) continue;
    if (auto checked = check_role(*identities, draft.home.account, role, draft.context.now); !checked) return checked;
  }
  return {};
}

Outcome<void> set_tags(Draft& draft) {
  auto tags = read_tags(draft.input);
  if (!tags) return refused(tags);
  const auto propagate = text_of(draft.input, "propagateTags");
  if (propagate == "SERVICE") return invalid("propagateTags SERVICE: the task is not started by a service.");
  // What the call says goes before what the definition says.
  if (propagate == "TASK_DEFINITION") tags->merge(draft.registered.value(kTagsMember, Tags()));
  if (draft.input.value("enableECSManagedTags", false)) (*tags)["aws:ecs:clusterName"] = draft.cluster.name.str();
  draft.request.tags = std::move(*tags);
  return check_tag_count(draft.request.tags);
}

Outcome<void> set_group(Draft& draft) {
  const auto group = text_of(draft.input, "group");
  if (group.starts_with("service:")) return invalid("Invalid namespace for group.");
  draft.request.group = group.empty() ? "family:" + text_of(draft.registered, "family") : group;
  draft.request.started_by = text_of(draft.input, "startedBy");
  if (draft.request.started_by.size() > kStartedByMax) return invalid("startedBy longer than {}.", kStartedByMax);
  return {};
}

// The task's own document (documents.hpp).
Outcome<void> set_document(Draft& draft) {
  Json document{{"overrides", draft.input.value("overrides", Json::object())},
                {"enableExecuteCommand", draft.input.value("enableExecuteCommand", false)},
                {"containerIds", Json::object()}};
  for (const auto* member : {"taskRoleArn", "executionRoleArn", "cpu", "memory"})
    if (const auto value = text_of(draft.effective, member); !value.empty()) document[member] = value;
  if (draft.input.contains("networkConfiguration")) document["networkConfiguration"] = draft.input["networkConfiguration"];
  if (draft.fargate()) {
    const auto version = draft.input.value("platformVersion", "LATEST");
    document["platformVersion"] = version == "LATEST" ? "1.4.0" : version;
    document["platformFamily"] = "Linux";
  }
  draft.parts.plane.apply([&](control::Control& c) {
    for (const auto& name : draft.request.requirements.containers) document["containerIds"][name] = c.random.uuid();
  });
  draft.request.document = document.dump();
  return {};
}

Outcome<RunTask> finish(Draft& draft) {
  for (const auto step : {check_platform, check_roles})
    if (auto done = step(draft); !done) return refused(done);
  for (const auto step : {set_network, set_placement, set_tags, set_group, set_document})
    if (auto done = step(draft); !done) return refused(done);
  return std::move(draft.request);
}

}  // namespace

Outcome<RunTask> plan_run_task(const Parts& parts, const CallContext& context, const Json& input) {
  Draft draft{parts, context, input, home_of(parts), {}, {}, {}, {}};
  draft.request.count = input.value("count", 1);
  if (draft.request.count < 1) return invalid("count should be at least 1.");
  if (draft.request.count > kCountMax) return invalid("count should be at most {}.", kCountMax);
  for (const auto step : {load, override_definition, choose_capacity})
    if (auto done = step(draft); !done) return refused(done);
  return finish(draft);
}

Outcome<RunTask> plan_start_task(const Parts& parts, const CallContext& context, const Json& input) {
  Draft draft{parts, context, input, home_of(parts), {}, {}, {}, {}};
  for (const auto step : {load, override_definition})
    if (auto done = step(draft); !done) return refused(done);
  const auto& instances = list_of(input, "containerInstances");
  if (instances.empty()) return invalid("Container instances cannot be empty.");
  if (instances.size() > static_cast<std::size_t>(kCountMax))
    return invalid("At most {} container instances can be given.", kCountMax);
  for (const auto& text : instances) {
    auto id = read_container_instance(draft.home, draft.cluster.name, text.get<std::string>());
    if (!id) return refused(id);
    draft.request.instances.push_back(std::move(*id));
  }
  draft.request.count = static_cast<int>(instances.size());
  return finish(draft);
}

}  // namespace berth::services::ecs

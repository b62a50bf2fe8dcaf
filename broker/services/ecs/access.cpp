#include "broker/services/ecs/access.hpp"

#include <nlohmann/json.hpp>

#include "broker/control/control_plane.hpp"
#include "broker/services/ecs/definition.hpp"
#include "broker/services/ecs/definition_store.hpp"
#include "broker/services/ecs/documents.hpp"
#include "broker/services/ecs/errors.hpp"
#include "broker/services/ecs/names.hpp"
#include "broker/services/ecs/resource_tags.hpp"
#include "broker/services/ecs/roles.hpp"
#include "broker/services/ecs/tag_list.hpp"

namespace berth::services::ecs::access {

using api::ResourceAccess;
using Conditions = std::multimap<std::string, std::string>;

namespace {

void add_request_tags(const Json& input, Conditions& conditions) {
  for (const auto& tag : list_of(input, "tags")) {
    conditions.emplace("aws:RequestTag/" + text_of(tag, "key"), text_of(tag, "value"));
    conditions.emplace("aws:TagKeys", text_of(tag, "key"));
  }
  for (const auto& key : list_of(input, "tagKeys")) conditions.emplace("aws:TagKeys", key.get<std::string>());
}

// ECS knows the tags of a resource under its own name too.
void add_resource_tags(const Tags& tags, Conditions& conditions) {
  for (const auto& [key, value] : tags) {
    conditions.emplace("aws:ResourceTag/" + key, value);
    conditions.emplace("ecs:ResourceTag/" + key, value);
  }
}

// The resource with its tags; one that is not there has none: whether it is missing is for those to know who may ask.
ResourceAccess resource(const Parts& parts, const std::string& arn) {
  ResourceAccess access{.arn = arn, .conditions = {}, .action = {}, .resource_policy = {}};
  const auto tags = parts.plane.read([&](const control::Control& c) { return tags_of(c, arn); });
  if (tags) add_resource_tags(*tags, access.conditions);
  return access;
}

// Whoever makes something with tags must be allowed to tag it (account setting tagResourceAuthorization, on for new accounts).
void add_tagging(const Json& input, const std::string& arn, const char* create_action, std::vector<ResourceAccess>& list) {
  if (list_of(input, "tags").empty()) return;
  ResourceAccess access{
      .arn = arn, .conditions = {{"ecs:CreateAction", create_action}}, .action = "ecs:TagResource", .resource_policy = {}};
  add_request_tags(input, access.conditions);
  list.push_back(std::move(access));
}

void add_passed_role(const std::string& arn, std::vector<ResourceAccess>& list) {
  if (arn.empty()) return;
  list.push_back(
      {.arn = arn, .conditions = {{"iam:PassedToService", kTasksService}}, .action = "iam:PassRole", .resource_policy = {}});
}

// Resources of a cluster by their ARNs, each with ecs:cluster.
Resources in_cluster(const Parts& parts, const Home& home, const cluster_sim::ClusterName& name,
                     const std::vector<std::string>& arns) {
  std::vector<ResourceAccess> list;
  for (const auto& arn : arns) {
    auto access = resource(parts, arn);
    access.conditions.emplace("ecs:cluster", home.cluster_arn(name.str()));
    list.push_back(std::move(access));
  }
  return list;
}

Resources named_tasks(const Parts& parts, const Json& input, const std::vector<std::string>& texts) {
  const auto home = home_of(parts);
  const auto name = cluster_of(home, input);
  if (!name) return refused(name);
  std::vector<std::string> arns;
  for (const auto& text : texts) {
    const auto id = read_task(home, *name, text);
    if (!id) return refused(id);
    arns.push_back(home.task_arn(name->str(), id->str()));
  }
  if (arns.empty()) arns.push_back(home.task_arn(name->str(), "*"));
  return in_cluster(parts, home, *name, arns);
}

Resources named_instances(const Parts& parts, const Json& input, const std::vector<std::string>& texts) {
  const auto home = home_of(parts);
  const auto name = cluster_of(home, input);
  if (!name) return refused(name);
  std::vector<std::string> arns;
  for (const auto& text : texts) {
    const auto id = read_container_instance(home, *name, text);
    if (!id) return refused(id);
    arns.push_back(home.container_instance_arn(name->str(), id->str()));
  }
  if (arns.empty()) arns.push_back(home.container_instance_arn(name->str(), "*"));
  return in_cluster(parts, home, *name, arns);
}

}  // namespace

Resources nothing(const Parts&, const CallContext&, const Json&) { return std::vector<ResourceAccess>(1); }

Resources new_cluster(const Parts& parts, const CallContext&, const Json& input) {
  const auto home = home_of(parts);
  const auto name = read_cluster(home, text_of(input, "clusterName"));
  if (!name) return refused(name);
  std::vector<ResourceAccess> list{resource(parts, home.cluster_arn(name->str()))};
  add_request_tags(input, list.front().conditions);
  for (const auto& provider : list_of(input, "capacityProviders"))
    list.front().conditions.emplace("ecs:capacity-provider", provider.get<std::string>());
  add_tagging(input, list.front().arn, "CreateCluster", list);
  return list;
}

Resources cluster(const Parts& parts, const CallContext&, const Json& input) {
  const auto home = home_of(parts);
  const auto name = cluster_of(home, input);
  if (!name) return refused(name);
  std::vector<ResourceAccess> list{resource(parts, home.cluster_arn(name->str()))};
  add_request_tags(input, list.front().conditions);
  return list;
}

Resources clusters(const Parts& parts, const CallContext&, const Json& input) {
  const auto home = home_of(parts);
  auto texts = input.value("clusters", std::vector<std::string>());
  if (texts.empty()) texts.emplace_back("default");
  std::vector<ResourceAccess> list;
  for (const auto& text : texts) {
    const auto name = read_cluster(home, text);
    if (!name) return refused(name);
    list.push_back(resource(parts, home.cluster_arn(name->str())));
  }
  return list;
}

Resources new_task_definition(const Parts& parts, const CallContext&, const Json& input) {
  const auto home = home_of(parts);
  ResourceAccess access{
      .arn = home.task_definition_arn(text_of(input, "family"), "*"), .conditions = {}, .action = {}, .resource_policy = {}};
  add_request_tags(input, access.conditions);
  for (const auto& type : list_of(input, "requiresCompatibilities"))
    access.conditions.emplace("ecs:compute-compatibility", type.get<std::string>());
  for (const auto& container : list_of(input, "containerDefinitions"))
    if (container.value("privileged", false)) access.conditions.emplace("ecs:privileged", "ENABLED");
  std::vector<ResourceAccess> list{std::move(access)};
  for (const auto* role : {"taskRoleArn", "executionRoleArn"})
    if (const auto name = text_of(input, role); !name.empty()) add_passed_role(role_arn(home, name), list);
  add_tagging(input, list.front().arn, "RegisterTaskDefinition", list);
  return list;
}

Resources named_task_definitions(const Parts& parts, const CallContext&, const Json& input) {
  const auto home = home_of(parts);
  std::vector<ResourceAccess> list;
  for (const auto& text : list_of(input, "taskDefinitions")) {
    const auto name = read_task_definition(home, text.get<std::string>());
    if (!name) return refused(name);
    list.push_back(
        resource(parts, home.task_definition_arn(name->family, name->revision ? std::to_string(*name->revision) : "*")));
  }
  if (list.empty()) list.emplace_back();
  return list;
}

Resources launch(const Parts& parts, const CallContext&, const Json& input) {
  const auto home = home_of(parts);
  const auto cluster_name = cluster_of(home, input);
  if (!cluster_name) return refused(cluster_name);
  const auto name = read_task_definition(home, text_of(input, "taskDefinition"));
  if (!name) return refused(name);
  const auto found = parts.plane.read([&](const control::Control& c) { return find_definition(c.documents, *name); });
  const auto definition = found ? Json::parse(found->text) : Json::object();
  const auto revision = found ? std::to_string(found->revision) : name->revision ? std::to_string(*name->revision) : "*";

  ResourceAccess access{
      .arn = home.task_definition_arn(name->family, revision), .conditions = {}, .action = {}, .resource_policy = {}};
  add_resource_tags(definition.value(kTagsMember, Tags()), access.conditions);
  add_request_tags(input, access.conditions);
  access.conditions.emplace("ecs:cluster", home.cluster_arn(cluster_name->str()));
  access.conditions.emplace("ecs:enable-execute-command", input.value("enableExecuteCommand", false) ? "true" : "false");
  for (const auto& item : list_of(input, "capacityProviderStrategy"))
    access.conditions.emplace("ecs:capacity-provider", text_of(item, "capacityProvider"));
  for (const auto& instance : list_of(input, "containerInstances"))
    access.conditions.emplace("ecs:container-instances", instance.get<std::string>());

  std::vector<ResourceAccess> list{std::move(access)};
  const auto overrides = input.value("overrides", Json::object());
  for (const auto* role : {"taskRoleArn", "executionRoleArn"}) {
    const auto given = text_of(overrides, role);
    add_passed_role(given.empty() ? text_of(definition, role) : role_arn(home, given), list);
  }
  add_tagging(input, home.task_arn(cluster_name->str(), "*"), input.contains("containerInstances") ? "StartTask" : "RunTask",
              list);
  return list;
}

Resources task(const Parts& parts, const CallContext&, const Json& input) {
  return named_tasks(parts, input, {text_of(input, "task")});
}

Resources tasks(const Parts& parts, const CallContext&, const Json& input) {
  return named_tasks(parts, input, input.value("tasks", std::vector<std::string>()));
}

Resources tasks_on(const Parts& parts, const CallContext&, const Json& input) {
  const auto instance = text_of(input, "containerInstance");
  return named_instances(parts, input, instance.empty() ? std::vector<std::string>() : std::vector{instance});
}

Resources container_instances(const Parts& parts, const CallContext&, const Json& input) {
  return named_instances(parts, input, input.value("containerInstances", std::vector<std::string>()));
}

Resources tagged(const Parts& parts, const CallContext&, const Json& input) {
  std::vector<ResourceAccess> list{resource(parts, text_of(input, "resourceArn"))};
  add_request_tags(input, list.front().conditions);
  return list;
}

}  // namespace berth::services::ecs::access

// TagResource, UntagResource, ListTagsForResource over all kinds of resources that carry tags.
#include <nlohmann/json.hpp>

#include "broker/base/arn.hpp"
#include "broker/control/control_plane.hpp"
#include "broker/services/ecs/clusters.hpp"
#include "broker/services/ecs/definition.hpp"
#include "broker/services/ecs/definition_store.hpp"
#include "broker/services/ecs/documents.hpp"
#include "broker/services/ecs/errors.hpp"
#include "broker/services/ecs/operations.hpp"
#include "broker/services/ecs/resource_tags.hpp"
#include "broker/services/ecs/tag_list.hpp"

namespace berth::services::ecs {

using cluster_sim::ContainerInstanceId;
using cluster_sim::TaskId;
using control::Control;

namespace {

std::unexpected<api::ApiError> not_found(std::string_view what) {
  return api::refuse("ResourceNotFoundException", fmt::format("The specified {} was not found.", what));
}

Home home_of(const Control& c) { return {c.cluster.settings().region, c.cluster.settings().account}; }

// `cluster/id`: both parts of the resource of a task or a container instance.
struct InCluster {
  std::string cluster, id;
};
Outcome<InCluster> split(std::string_view resource_id, std::string_view arn) {
  const auto slash = resource_id.find('/');
  if (slash == resource_id.npos) return invalid("Long arn format must be used for tagging operations: {}", arn);
  return InCluster{std::string(resource_id.substr(0, slash)), std::string(resource_id.substr(slash + 1))};
}

template <class Records, class Key>
Outcome<Tags> tags_in(const Records& records, const Key& key, const char* what) {
  const auto found = records.find(key);
  if (found == records.end()) return not_found(what);
  return found->second.tags;
}

Outcome<StoredDefinition> definition_at(const Control& c, const std::string& arn) {
  const auto name = read_task_definition(home_of(c), arn);
  if (!name) return refused(name);
  auto found = name->revision ? find_definition(c.documents, *name) : std::nullopt;
  if (!found) return not_found("task definition");
  return std::move(*found);
}

Outcome<Arn> read_arn(const Control& c, const std::string& text) {
  auto arn = parse_arn(text);
  if (!arn || arn->service != "ecs") return invalid("Invalid resourceArn: {} is not the ARN of an ECS resource.", text);
  const auto home = home_of(c);
  if (arn->account != home.account) return invalid("Identifier is for {}. Your accountId is {}", arn->account, home.account);
  if (arn->region != home.region) return invalid("Identifier is for {}. Your region is {}", arn->region, home.region);
  return std::move(*arn);
}

Outcome<void> put_tags(Control& c, const std::string& text, const Tags& tags) {
  const auto arn = read_arn(c, text);
  if (!arn) return refused(arn);
  const auto type = arn->resource_type();
  const std::string id(arn->resource_id());
  if (type == "cluster") {
    c.cluster.edit(cluster_sim::ClusterName(id))->tags = tags;
  } else if (type == "task") {
    c.cluster.edit(TaskId(split(id, text)->id))->tags = tags;
  } else if (type == "container-instance") {
    c.cluster.edit(ContainerInstanceId(split(id, text)->id))->tags = tags;
  } else {
    const auto stored = definition_at(c, text);
    if (!stored) return refused(stored);
    auto definition = Json::parse(stored->text);
    definition[kTagsMember] = tags;
    c.documents.put(std::string(kTaskDefinitionKind), task_definition_key(stored->family, stored->revision), definition.dump());
  }
  return {};
}

// `change` gets the tags as they are and makes of them what they shall be.
template <class Change>
Outcome<Json> change_tags(const Parts& parts, const std::string& arn, Change change) {
  return parts.plane.with([&](Control& c) -> Outcome<Json> {
    auto tags = tags_of(c, arn);
    if (!tags) return refused(tags);
    change(*tags);
    if (auto checked = check_tag_count(*tags); !checked) return refused(checked);
    if (auto put = put_tags(c, arn, *tags); !put) return refused(put);
    return Json::object();
  });
}

}  // namespace

Outcome<Tags> tags_of(const Control& c, const std::string& text) {
  const auto arn = read_arn(c, text);
  if (!arn) return refused(arn);
  const auto type = arn->resource_type();
  const std::string id(arn->resource_id());
  if (type == "cluster") {
    const auto cluster = need_cluster(c, cluster_sim::ClusterName(id));
    if (!cluster) return refused(cluster);
    return (*cluster)->tags;
  }
  if (type == "task-definition") {
    const auto stored = definition_at(c, text);
    if (!stored) return refused(stored);
    return Json::parse(stored->text).value(kTagsMember, Tags());
  }
  if (type != "task" && type != "container-instance") return not_found("resource");
  const auto place = split(id, text);
  if (!place) return refused(place);
  return type == "task" ? tags_in(c.cluster.tasks(), TaskId(place->id), "task")
                        : tags_in(c.cluster.container_instances(), ContainerInstanceId(place->id), "container instance");
}

Outcome<Json> tag_resource(const Parts& parts, const CallContext&, const Json& input) {
  const auto added = read_tags(input);
  if (!added) return refused(added);
  return change_tags(parts, text_of(input, "resourceArn"), [&](Tags& tags) {
    for (const auto& [key, value] : *added) tags[key] = value;
  });
}

Outcome<Json> untag_resource(const Parts& parts, const CallContext&, const Json& input) {
  return change_tags(parts, text_of(input, "resourceArn"), [&](Tags& tags) {
    for (const auto& key : list_of(input, "tagKeys")) tags.erase(key.get<std::string>());
  });
}

Outcome<Json> list_tags_for_resource(const Parts& parts, const CallContext&, const Json& input) {
  const auto tags = parts.plane.read([&](const Control& c) { return tags_of(c, text_of(input, "resourceArn")); });
  // This operation has no ResourceNotFoundException.
  if (!tags && tags.error().code == "ResourceNotFoundException") return invalid("{}", tags.error().message);
  if (!tags) return refused(tags);
  return Json{{"tags", write_tags(*tags)}};
}

}  // namespace berth::services::ecs

#include "broker/services/ecs/names.hpp"

#include <algorithm>
#include <charconv>

#include <nlohmann/json.hpp>

#include "broker/base/arn.hpp"
#include "broker/services/ecs/errors.hpp"

namespace berth::services::ecs {

using api::Json;
using api::Outcome;
using cluster_sim::ClusterName;
using cluster_sim::ContainerInstanceId;
using cluster_sim::TaskId;

namespace {

bool is_alphanumeric(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// The part behind `type/` of an ARN of ours.
Outcome<std::string> resource_of(const Home& home, std::string_view text, std::string_view type) {
  const auto arn = parse_arn(text);
  if (!arn) return invalid("Invalid identifier: {} is not an ARN", text);
  if (arn->service != "ecs" || arn->resource_type() != type)
    return invalid("Invalid identifier: {} is not the ARN of an ECS {}", text, type);
  if (arn->account != home.account) return invalid("Identifier is for {}. Your accountId is {}", arn->account, home.account);
  if (arn->region != home.region) return invalid("Identifier is for {}. Your region is {}", arn->region, home.region);
  return std::string(arn->resource_id());
}

// Ids are 32 hex digits; 36 characters is the older form with hyphens, which can be none of ours but is well-formed.
Outcome<std::string> read_id(const Home& home, const ClusterName& cluster, std::string_view text, std::string_view type,
                             std::string_view member) {
  std::string id(text);
  if (text.starts_with("arn:")) {
    auto resource = resource_of(home, text, type);
    if (!resource) return resource;
    id = std::move(*resource);
    if (const auto slash = id.find('/'); slash != id.npos) {
      if (id.substr(0, slash) != cluster.str())
        return invalid("Invalid identifier: Identifier is for cluster {}. Your cluster is {}", id.substr(0, slash),
                       cluster.str());
      id.erase(0, slash + 1);
    }
  }
  if (id.size() != 32 && id.size() != 36) return invalid("{} length should be one of [32,36]", member);
  if (!std::all_of(id.begin(), id.end(), [](char c) { return is_alphanumeric(c) || c == '-'; }))
    return invalid("Invalid identifier: {} contains invalid characters", id);
  return id;
}

}  // namespace

std::string Home::arn(std::string_view resource) const { return fmt::format("arn:aws:ecs:{}:{}:{}", region, account, resource); }
std::string Home::cluster_arn(std::string_view cluster) const { return arn(fmt::format("cluster/{}", cluster)); }
std::string Home::task_arn(std::string_view cluster, std::string_view id) const {
  return arn(fmt::format("task/{}/{}", cluster, id));
}
std::string Home::container_instance_arn(std::string_view cluster, std::string_view id) const {
  return arn(fmt::format("container-instance/{}/{}", cluster, id));
}
std::string Home::task_definition_arn(std::string_view family, std::string_view revision) const {
  return arn(fmt::format("task-definition/{}:{}", family, revision));
}

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 255 &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_alphanumeric(c) || c == '-' || c == '_'; });
}

Outcome<ClusterName> read_cluster(const Home& home, std::string_view text) {
  if (text.empty()) return ClusterName("default");
  std::string name(text);
  if (text.starts_with("arn:")) {
    auto resource = resource_of(home, text, "cluster");
    if (!resource) return refused(resource);
    name = std::move(*resource);
  }
  if (!is_name(name)) return invalid("Cluster must match ^[a-zA-Z0-9\\-_]{{1,255}}$, but was {}", name);
  return ClusterName(std::move(name));
}

Outcome<ClusterName> cluster_of(const Home& home, const Json& input) { return read_cluster(home, input.value("cluster", "")); }

Outcome<TaskId> read_task(const Home& home, const ClusterName& cluster, std::string_view text) {
  auto id = read_id(home, cluster, text, "task", "taskId");
  if (!id) return refused(id);
  return TaskId(std::move(*id));
}

Outcome<ContainerInstanceId> read_container_instance(const Home& home, const ClusterName& cluster, std::string_view text) {
  auto id = read_id(home, cluster, text, "container-instance", "containerInstance");
  if (!id) return refused(id);
  return ContainerInstanceId(std::move(*id));
}

Outcome<TaskDefinitionName> read_task_definition(const Home& home, std::string_view text) {
  std::string name(text);
  const bool is_arn = text.starts_with("arn:");
  if (is_arn) {
    auto resource = resource_of(home, text, "task-definition");
    if (!resource) return refused(resource);
    name = std::move(*resource);
  }
  TaskDefinitionName result{name, std::nullopt};
  if (const auto colon = name.find(':'); colon != name.npos) {
    result.family = name.substr(0, colon);
    int revision = 0;
    const auto* end = name.data() + name.size();
    if (const auto read = std::from_chars(name.data() + colon + 1, end, revision);
        read.ec != std::errc() || read.ptr != end || revision < 1)
      return invalid("Invalid revision number. Number: {}", name.substr(colon + 1));
    result.revision = revision;
  }
  if (!is_name(result.family))
    return invalid("Invalid task definition `{}`: it is named by family, family:revision or its ARN", text);
  return result;
}

}  // namespace berth::services::ecs

// Names, short ids and ARNs of ECS's resources, read as ECS reads them, and ARNs written. Inside the ECS service only.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "broker/api/operation.hpp"
#include "cluster_sim/ids.hpp"

namespace berth::services::ecs {

// Where this Berth is: what an ARN must say to be ours.
struct Home {
  std::string region, account;

  std::string arn(std::string_view resource) const;  // resource: "cluster/x"
  std::string cluster_arn(std::string_view cluster) const;
  std::string task_arn(std::string_view cluster, std::string_view id) const;
  std::string container_instance_arn(std::string_view cluster, std::string_view id) const;
  std::string task_definition_arn(std::string_view family, std::string_view revision) const;
};

// The name in a cluster's name or ARN; "default" for an empty text.
api::Outcome<cluster_sim::ClusterName> read_cluster(const Home& home, std::string_view text);
// The member `cluster` of an input.
api::Outcome<cluster_sim::ClusterName> cluster_of(const Home& home, const api::Json& input);

// The id in a task's id or ARN (with or without the cluster's name, which must then be `cluster`).
api::Outcome<cluster_sim::TaskId> read_task(const Home& home, const cluster_sim::ClusterName& cluster, std::string_view text);
api::Outcome<cluster_sim::ContainerInstanceId> read_container_instance(const Home& home, const cluster_sim::ClusterName& cluster,
                                                                       std::string_view text);

struct TaskDefinitionName {
  std::string family;
  std::optional<int> revision;  // none: the latest ACTIVE one
};
// `family`, `family:revision` or an ARN.
api::Outcome<TaskDefinitionName> read_task_definition(const Home& home, std::string_view text);

// Letters, digits, hyphens, underscores; 1 to 255.
bool is_name(std::string_view text);

}  // namespace berth::services::ecs

// The handlers behind the table in service.cpp. Inside the ECS service only.
#pragma once

#include "broker/api/operation.hpp"
#include "broker/services/ecs/names.hpp"
#include "broker/services/ecs/service.hpp"

namespace berth::services::ecs {

using api::CallContext;
using api::Json;
using api::Outcome;

struct Parts {
  control::ControlPlane& plane;
  EcsOptions options;
};
Home home_of(const Parts& parts);

using Operation = Outcome<Json>(const Parts&, const CallContext&, const Json&);

Operation create_cluster, describe_clusters, list_clusters, delete_cluster;
Operation update_cluster, update_cluster_settings, put_cluster_capacity_providers;
Operation register_task_definition, deregister_task_definition, delete_task_definitions;
Operation describe_task_definition, list_task_definitions, list_task_definition_families;
Operation run_task, start_task, stop_task, describe_tasks, list_tasks;
Operation register_container_instance, deregister_container_instance, update_container_instances_state;
Operation describe_container_instances, list_container_instances;
Operation tag_resource, untag_resource, list_tags_for_resource;

}  // namespace berth::services::ecs

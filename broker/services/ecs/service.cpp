#include "broker/services/ecs/service.hpp"

#include <memory>

#include <nlohmann/json.hpp>

#include "broker/control/control_plane.hpp"
#include "broker/services/ecs/access.hpp"
#include "broker/services/ecs/operations.hpp"

namespace berth::services::ecs {

Home home_of(const Parts& parts) { return {parts.plane.region(), parts.plane.account()}; }

namespace {

// A row; `parts` is shared by all of them.
api::Operation row(const std::shared_ptr<const Parts>& parts, const char* name, access::Access* resources, Operation* handle) {
  return {.name = name,
          .action = std::string("ecs:") + name,
          .resources = [parts, resources](const CallContext& context,
                                          const Json& input) { return resources(*parts, context, input); },
          .handle = [parts, handle](const CallContext& context, const Json& input) { return handle(*parts, context, input); }};
}

}  // namespace

api::Service make_ecs(control::ControlPlane& plane, EcsOptions options) {
  const auto parts = std::make_shared<const Parts>(Parts{plane, options});
  return {.model = "ecs",
          .signing_names = {"ecs"},
          .operations = {
              row(parts, "CreateCluster", access::new_cluster, create_cluster),
              row(parts, "DescribeClusters", access::clusters, describe_clusters),
              row(parts, "ListClusters", access::nothing, list_clusters),
              row(parts, "DeleteCluster", access::cluster, delete_cluster),
              row(parts, "UpdateCluster", access::cluster, update_cluster),
              row(parts, "UpdateClusterSettings", access::cluster, update_cluster_settings),
              row(parts, "PutClusterCapacityProviders", access::cluster, put_cluster_capacity_providers),

              row(parts, "RegisterTaskDefinition", access::new_task_definition, register_task_definition),
              row(parts, "DeregisterTaskDefinition", access::nothing, deregister_task_definition),
              row(parts, "DeleteTaskDefinitions", access::named_task_definitions, delete_task_definitions),
              row(parts, "DescribeTaskDefinition", access::nothing, describe_task_definition),
              row(parts, "ListTaskDefinitions", access::nothing, list_task_definitions),
              row(parts, "ListTaskDefinitionFamilies", access::nothing, list_task_definition_families),

              row(parts, "RunTask", access::launch, run_task),
              row(parts, "StartTask", access::launch, start_task),
              row(parts, "StopTask", access::task, stop_task),
              row(parts, "DescribeTasks", access::tasks, describe_tasks),
              row(parts, "ListTasks", access::tasks_on, list_tasks),

              row(parts, "RegisterContainerInstance", access::cluster, register_container_instance),
              row(parts, "DeregisterContainerInstance", access::cluster, deregister_container_instance),
              row(parts, "UpdateContainerInstancesState", access::container_instances, update_container_instances_state),
              row(parts, "DescribeContainerInstances", access::container_instances, describe_container_instances),
              row(parts, "ListContainerInstances", access::cluster, list_container_instances),

              row(parts, "TagResource", access::tagged, tag_resource),
              row(parts, "UntagResource", access::tagged, untag_resource),
              row(parts, "ListTagsForResource", access::tagged, list_tags_for_resource),
          }};
}

}  // namespace berth::services::ecs

// The JSON texts that the ECS service keeps, and who reads them.
//
// Task definition: control.documents, kind "task-definition", key "<family>:<revision>". An object with the members of the
// API's TaskDefinition shape, whole, as DescribeTaskDefinition answers it (containerDefinitions, volumes, cpu, memory,
// networkMode, taskRoleArn, executionRoleArn, ...), defaults filled in, plus one member of ours, taken out of answers:
//
//   "berthTags": {"key": "value"}
//
// Kept when the revision is deregistered (status INACTIVE): its tasks still read it. broker/launch builds TaskLaunch from it.
//
// Task: cluster_sim::Task::document, written by RunTask and StartTask. Members are left out where nothing was given, except
// those marked *:
//
//   {
//     "overrides": * {...}           TaskOverride as it was given ({} for none): containerOverrides, cpu, memory, ...
//     "taskRoleArn": "arn:..."       the effective one: the override's, else the definition's
//     "executionRoleArn": "arn:..."  likewise
//     "cpu": "256"                   effective task size, in units and MiB: the override's, else the definition's
//     "memory": "512"
//     "enableExecuteCommand": * false
//     "platformVersion": "1.4.0"     Fargate only
//     "platformFamily": "Linux"      Fargate only
//     "networkConfiguration": {...}  NetworkConfiguration as it was given
//     "containerIds": * {"app": "<uuid>"}  the last part of each container's ARN,
//                                    arn:aws:ecs:REGION:ACCOUNT:container/CLUSTER/TASK/<uuid>
//   }
//
// Cluster: cluster_sim::EcsCluster::document: {"settings": [...], "configuration": {...}, "defaultCapacityProviderStrategy":
// [...], "serviceConnectDefaults": {...}}, each as the Cluster shape has it.
#pragma once

#include <string>
#include <string_view>

namespace berth::services::ecs {

inline constexpr std::string_view kTaskDefinitionKind = "task-definition";
// Which revisions a family has; key: the family. {"last": 3, "active": [3], "inactive": [1, 2], "deleting": []}; `last` is the
// greatest number ever given: revisions are not used twice.
inline constexpr std::string_view kFamilyKind = "task-definition-family";
// What a RunTask with a client token started; key: "<cluster>/<token>". {"input": {...}, "tasks": ["<id>"], "at": epoch seconds}
inline constexpr std::string_view kClientTokenKind = "ecs-client-token";

inline constexpr std::string_view kTagsMember = "berthTags";

inline std::string task_definition_key(std::string_view family, int revision) {
  return std::string(family) + ":" + std::to_string(revision);
}

}  // namespace berth::services::ecs

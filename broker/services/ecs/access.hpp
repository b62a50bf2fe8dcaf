// Which resources an operation touches, with their condition keys: what the dispatcher authorizes before the handler runs.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerservice.html
//
// Where an input can't be read the refusal is the handler's own, answered as it is. Inside the ECS service only.
#pragma once

#include "broker/services/ecs/operations.hpp"

namespace berth::services::ecs::access {

using Resources = Outcome<std::vector<api::ResourceAccess>>;
using Access = Resources(const Parts&, const CallContext&, const Json&);

Access nothing;                 // "*"
Access new_cluster;             // the cluster that is to be made
Access cluster;                 // member `cluster`
Access clusters;                // member `clusters`
Access new_task_definition;     // all revisions of the family, and the roles passed to it
Access named_task_definitions;  // member `taskDefinitions`
Access launch;                  // the definition that is run, and the roles that its tasks get
Access task;                    // member `task`
Access tasks;                   // member `tasks`
Access tasks_on;                // the container instances that ListTasks asks about
Access container_instances;     // member `containerInstances`
Access tagged;                  // member `resourceArn`

}  // namespace berth::services::ecs::access

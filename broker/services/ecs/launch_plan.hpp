// LaunchPlan: a RunTask or StartTask, checked against its cluster, its task definition and the roles, as the cluster takes it.
// All that can be refused before placement is refused here, outside the control lock. Inside the ECS service only.
#pragma once

#include "broker/services/ecs/operations.hpp"
#include "cluster_sim/task.hpp"

namespace berth::services::ecs {

// RunTask: by launch type or capacity providers. StartTask: on `containerInstances`.
Outcome<cluster_sim::RunTask> plan_run_task(const Parts& parts, const CallContext& context, const Json& input);
Outcome<cluster_sim::RunTask> plan_start_task(const Parts& parts, const CallContext& context, const Json& input);

}  // namespace berth::services::ecs

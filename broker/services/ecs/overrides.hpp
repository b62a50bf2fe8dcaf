// TaskOverride: what a RunTask or StartTask changes of its task definition. Pure. Inside the ECS service only.
#pragma once

#include "broker/api/operation.hpp"
#include "broker/services/ecs/names.hpp"
#include "cluster_sim/task.hpp"

namespace berth::services::ecs {

// The definition as the task will have it: sizes, roles and the containers' members replaced, environments merged.
api::Outcome<api::Json> apply_overrides(const Home& home, api::Json definition, const api::Json& overrides);

// What placement must know of a definition that has its overrides in.
cluster_sim::TaskRequirements requirements_of(const api::Json& definition);

}  // namespace berth::services::ecs

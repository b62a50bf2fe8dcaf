// What the agent says of its instance when it registers: RegisterContainerInstance's input. Inside the agent only.
#pragma once

#include "broker/agent/ecs_config.hpp"
#include "broker/api/operation.hpp"
#include "cluster_sim/cluster.hpp"

namespace berth::agent {

inline constexpr std::string_view kAgentVersion = "1.105.1";  // the one whose behaviour is simulated

// Memory as the operating system counts it: an m4.large has 7985 of its 8192 MiB (ECS developer guide). That other types lose
// the same share is assumed.
int usable_memory_mib(const cluster_sim::InstanceType& type);

api::Json registration_input(const cluster_sim::Instance& instance, const cluster_sim::Settings& settings,
                             const EcsConfig& config);

}  // namespace berth::agent

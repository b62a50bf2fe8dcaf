// Client tokens of RunTask: the same token with the same parameters answers the tasks of the first call, with other parameters
// it is a conflict. Inside the ECS service only.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "broker/api/operation.hpp"
#include "cluster_sim/ids.hpp"

namespace berth::control {
struct Control;
}

namespace berth::services::ecs {

// The tasks of an earlier call with this token; none for a new one. Forgets tokens older than `retention`.
api::Outcome<std::optional<std::vector<cluster_sim::TaskId>>> find_client_token(control::Control& c,
                                                                                const cluster_sim::ClusterName& cluster,
                                                                                const api::Json& input,
                                                                                std::chrono::seconds retention);
void keep_client_token(control::Control& c, const cluster_sim::ClusterName& cluster, const api::Json& input,
                       const std::vector<cluster_sim::TaskId>& tasks);

}  // namespace berth::services::ecs

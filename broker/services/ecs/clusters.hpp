// What the other operations ask of clusters. Inside the ECS service only.
#pragma once

#include <string>
#include <vector>

#include "broker/api/operation.hpp"
#include "cluster_sim/capacity.hpp"

namespace berth::control {
struct Control;
}

namespace berth::services::ecs {

// An ACTIVE cluster.
api::Outcome<const cluster_sim::EcsCluster*> need_cluster(const control::Control& c, const cluster_sim::ClusterName& name);
// The cluster's document (documents.hpp).
api::Json parse_document(const cluster_sim::EcsCluster& cluster);
// A capacity provider strategy against the providers that the cluster has.
api::Outcome<void> check_strategy(const api::Json& strategy, const std::vector<std::string>& providers);

}  // namespace berth::services::ecs

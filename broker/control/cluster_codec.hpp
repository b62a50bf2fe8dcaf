// The cluster's records as text (JSON) for the store.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "broker/base/error.hpp"
#include "cluster_sim/cluster.hpp"

namespace berth::control {

// The record that a change names, as it is now; nullopt where it is gone.
std::optional<std::string> encode(const cluster_sim::Cluster& cluster, const cluster_sim::Change& change);

// Puts a stored record back. Fails for text that is not what encode() wrote, or a kind that is not the cluster's. A field that
// the text doesn't have keeps its default: an older Berth didn't know it.
Result<> restore(cluster_sim::Cluster& cluster, std::string_view kind, std::string_view key, std::string_view text);

// "vpc", "subnet", "security-group", "interface", "launch-template", "auto-scaling-group", "instance", "ecs-cluster",
// "container-instance" or "task".
bool is_cluster_kind(std::string_view kind);

}  // namespace berth::control

// From the members of Create- and UpdateAutoScalingGroup to a group. Inside the Auto Scaling service only.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "broker/api/operation.hpp"
#include "cluster_sim/cluster.hpp"
#include "credentials/identities.hpp"

namespace berth::services::autoscaling {

using api::Json;
using api::Outcome;

std::string text(const Json& input, const char* member);
std::vector<std::string> texts(const Json& input, const char* member);
std::unexpected<api::ApiError> invalid(std::string message);  // ValidationError

// Puts what the input says over `group`: template, types, subnets, and what Describe answers. Sizes and tags are the caller's.
Outcome<void> read_group(const cluster_sim::Cluster& cluster, const credentials::Identities& identities, const Json& input,
                         cluster_sim::AutoScalingGroup& group);
// With PropagateAtLaunch.
void read_tag(const Json& tag, cluster_sim::AutoScalingGroup& group);

}  // namespace berth::services::autoscaling

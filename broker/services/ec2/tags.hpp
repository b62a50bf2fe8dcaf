// Every record of EC2 that has tags, by its id. Inside the EC2 service only.
#pragma once

#include <functional>
#include <string>

#include "cluster_sim/cluster.hpp"

namespace berth::services::ec2 {

// "vpc" for vpc-...; empty for an id that is none of EC2's.
std::string resource_type(std::string_view id);
// nullptr where there is no such record.
const cluster_sim::Tags* find_tags(const cluster_sim::Cluster& cluster, const std::string& id);

}  // namespace berth::services::ec2

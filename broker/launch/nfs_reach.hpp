// Whether an NFS client reaches a mount target through the security groups of both. Inside broker/launch only.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cluster_sim/network.hpp"

namespace berth::launch {

// A network interface as security groups see it.
struct NfsEnd {
  std::uint32_t address = 0;
  std::vector<cluster_sim::SecurityGroupId> security_groups;
};

// Empty where TCP port 2049 of `target` is open to `client`; else one sentence that says which rule is missing.
std::string why_nfs_is_closed(const std::map<cluster_sim::SecurityGroupId, cluster_sim::SecurityGroup>& groups,
                              const NfsEnd& client, const NfsEnd& target);

}  // namespace berth::launch

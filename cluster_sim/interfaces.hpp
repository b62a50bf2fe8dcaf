// Network interfaces as the rest of the state machine makes and frees them.
#pragma once

#include "cluster_sim/state.hpp"

namespace berth::cluster_sim {

struct InterfaceWish {
  SubnetId subnet;
  std::uint32_t address = 0;                     // 0: the lowest free one
  std::vector<SecurityGroupId> security_groups;  // empty: the default group of the VPC
  std::string owner, description;
  Tags tags;
};
Result<InterfaceId> make_interface(State& state, Random& random, InterfaceWish wish);
// Accepts an interface that is gone already.
void free_interface(State& state, const InterfaceId& id);

// "eni-" and 17 hex digits, like every EC2 id of today.
std::string new_ec2_id(Random& random, std::string_view prefix);

}  // namespace berth::cluster_sim

// Instances as groups and the EC2 API make and end them.
#pragma once

#include "cluster_sim/state.hpp"

namespace berth::cluster_sim {

struct InstanceWish {
  LaunchTemplateData data;  // its type is the one to launch
  SubnetId subnet;
  GroupName group;
  bool protected_from_scale_in = false;
  Tags tags;
};
// Code::resource_exhausted where the subnet has no address left.
Result<InstanceId> launch(State& state, TimePoint now, Random& random, InstanceWish wish);
// shutting-down: its tasks stop, its container instance goes if the agent is connected. Again is no error.
void terminate(State& state, TimePoint now, Instance& instance, std::string reason);

// Out of the cluster: INACTIVE, its tasks stop with this code and reason.
void deregister(State& state, TimePoint now, ContainerInstance& instance, const std::string& stop_code,
                const std::string& reason);
// The container instance of an EC2 instance; nullptr: none that is not INACTIVE.
ContainerInstance* registered_as(State& state, const InstanceId& id);

// See Cluster::reconcile_group.
void reconcile(State& state, TimePoint now, Random& random, AutoScalingGroup& group, std::string_view cause);

}  // namespace berth::cluster_sim

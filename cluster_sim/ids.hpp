// Ids of what the simulated cloud holds. Each has the form that AWS gives it.
#pragma once

#include "broker/base/id.hpp"

namespace berth::cluster_sim {

using VpcId = Id<struct VpcIdTag>;                              // vpc-0123456789abcdef0
using SubnetId = Id<struct SubnetIdTag>;                        // subnet-...
using SecurityGroupId = Id<struct SecurityGroupIdTag>;          // sg-...
using InterfaceId = Id<struct InterfaceIdTag>;                  // eni-...
using InstanceId = Id<struct InstanceIdTag>;                    // i-...
using LaunchTemplateId = Id<struct LaunchTemplateIdTag>;        // lt-...
using GroupName = Id<struct GroupNameTag>;                      // an Auto Scaling group's name
using ClusterName = Id<struct ClusterNameTag>;                  // an ECS cluster's name
using ContainerInstanceId = Id<struct ContainerInstanceIdTag>;  // 32 hex digits
using TaskId = Id<struct TaskIdTag>;                            // 32 hex digits

}  // namespace berth::cluster_sim

// State: the tables behind Cluster, with the indexes that follow from them. Private to this folder.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cluster_sim/cluster.hpp"

namespace berth::cluster_sim {

inline std::string_view kind_of(const VpcId&) { return "vpc"; }
inline std::string_view kind_of(const SubnetId&) { return "subnet"; }
inline std::string_view kind_of(const SecurityGroupId&) { return "security-group"; }
inline std::string_view kind_of(const InterfaceId&) { return "interface"; }
inline std::string_view kind_of(const LaunchTemplateId&) { return "launch-template"; }
inline std::string_view kind_of(const GroupName&) { return "auto-scaling-group"; }
inline std::string_view kind_of(const InstanceId&) { return "instance"; }
inline std::string_view kind_of(const ClusterName&) { return "ecs-cluster"; }
inline std::string_view kind_of(const ContainerInstanceId&) { return "container-instance"; }
inline std::string_view kind_of(const TaskId&) { return "task"; }

struct State {
  explicit State(Settings s) : settings(std::move(s)) {}

  Settings settings;
  std::map<VpcId, Vpc> vpcs;
  std::map<SubnetId, Subnet> subnets;
  std::map<SecurityGroupId, SecurityGroup> security_groups;
  std::map<InterfaceId, Interface> interfaces;
  std::map<LaunchTemplateId, LaunchTemplate> launch_templates;
  std::map<GroupName, AutoScalingGroup> groups;
  std::map<InstanceId, Instance> instances;
  std::map<ClusterName, EcsCluster> clusters;
  std::map<ContainerInstanceId, ContainerInstance> container_instances;
  std::map<TaskId, Task> tasks;

  // INVARIANT: the tasks that are not STOPPED, by the container instance that they were placed on: what it has reserved.
  std::map<ContainerInstanceId, std::set<TaskId>> tasks_on;

  std::vector<Effect> effects;
  std::set<Change> changes;  // a record that changed twice is written once

  template <class Key>
  void changed(const Key& key) {
    changes.insert(Change{std::string(kind_of(key)), key.str()});
  }

  // The record, noted as changed; nullptr where there is none.
  template <class Key, class Value>
  Value* edit(std::map<Key, Value>& table, const Key& key) {
    auto found = table.find(key);
    if (found == table.end()) return nullptr;
    changed(key);
    return &found->second;
  }
};

template <class Key, class Value>
const Value* find(const std::map<Key, Value>& table, const Key& key) {
  auto found = table.find(key);
  return found == table.end() ? nullptr : &found->second;
}

}  // namespace berth::cluster_sim

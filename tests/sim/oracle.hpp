// A second, plain answer to "may this task go there?", written apart from the first: it recounts everything from the records.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "cluster_sim/cluster.hpp"

namespace berth::cluster_sim {

struct Used {
  int cpu = 0, memory = 0, interfaces = 0;
  std::multiset<int> tcp, udp;
  std::set<std::string> groups;
};

inline Used used_on(const Cluster& cluster, const ContainerInstanceId& id) {
  Used used;
  for (const auto& [key, task] : cluster.tasks()) {
    if (task.last == TaskStatus::stopped || task.container_instance != id) continue;
    used.cpu += task.requirements.cpu;
    used.memory += task.requirements.memory_mib;
    used.interfaces += task.requirements.awsvpc ? 1 : 0;
    for (const auto& port : task.requirements.ports) (port.udp ? used.udp : used.tcp).insert(port.port);
    used.groups.insert(task.group);
  }
  return used;
}

inline bool oracle_fits(const Cluster& cluster, const RunTask& request, const ContainerInstance& instance) {
  const Used used = used_on(cluster, instance.id);
  const TaskRequirements& needs = request.requirements;
  const auto machine = cluster.instances().find(instance.ec2_instance);
  if (machine == cluster.instances().end() || machine->second.state != "running") return false;
  const InstanceType& type = *find_instance_type(machine->second.type);
  if (instance.status != "ACTIVE" || !instance.agent_connected) return false;
  if (used.cpu + needs.cpu > instance.cpu || used.memory + needs.memory_mib > instance.memory_mib) return false;
  for (const auto& port : needs.ports) {
    if (port.udp ? used.udp.contains(port.port) || instance.udp_ports.contains(port.port)
                 : used.tcp.contains(port.port) || instance.ports.contains(port.port)) {
      return false;
    }
  }
  if (needs.awsvpc) {
    if (used.interfaces + 1 > static_cast<int>(type.interfaces) - 1) return false;
    bool located = false;
    for (const auto& subnet : request.subnets) located = located || cluster.subnets().at(subnet).zone == instance.zone;
    if (!located) return false;
  }
  for (const auto& constraint : request.constraints) {
    if (constraint.kind == PlacementConstraint::Kind::distinct_instance && used.groups.contains(request.group)) return false;
    // The simulation writes one kind of expression: `attribute:ecs.instance-type == TYPE`.
    if (constraint.kind == PlacementConstraint::Kind::member_of &&
        !constraint.expression.ends_with("== " + std::string(type.name)))
      return false;
  }
  return true;
}

}  // namespace berth::cluster_sim

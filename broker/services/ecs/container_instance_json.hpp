// Container instances as the API shows and takes them. Inside the ECS service only.
#pragma once

#include <map>
#include <set>
#include <string>

#include "broker/api/operation.hpp"
#include "cluster_sim/capacity.hpp"

namespace berth::control {
struct Control;
}

namespace berth::services::ecs {

struct Shown {
  bool tags = false, health = false;
};
api::Json describe(const control::Control& c, const cluster_sim::ContainerInstance& instance, const Shown& shown);

// `totalResources` of a registration.
struct Resources {
  int cpu = 0, memory_mib = 0;
  std::set<int> ports, udp_ports;
};
api::Outcome<Resources> read_resources(const api::Json& list);
// `attributes`: name -> value, empty where there is none.
std::map<std::string, std::string> read_attributes(const api::Json& list);

}  // namespace berth::services::ecs

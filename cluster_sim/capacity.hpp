// EC2 instances, launch templates, Auto Scaling groups, ECS clusters and container instances: records.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "broker/base/clock.hpp"
#include "cluster_sim/ids.hpp"
#include "cluster_sim/network.hpp"

namespace berth::cluster_sim {

struct InstanceType {
  std::string_view name;
  unsigned vcpus = 0;
  unsigned memory_mib = 0;
  unsigned interfaces = 0;  // network interfaces at most
  unsigned addresses_per_interface = 0;
  unsigned trunked_tasks = 0;  // awsvpc tasks with ENI trunking; 0: not supported
};
// nullptr for a type that Berth does not simulate.
const InstanceType* find_instance_type(std::string_view name);
std::vector<const InstanceType*> instance_types();

// One of the combinations of task CPU units and memory that Fargate offers.
bool fargate_size_valid(int cpu, int memory_mib);

struct LaunchTemplateData {
  std::string image_id, instance_type, user_data /* plain text */, instance_profile /* name or ARN */, key_name;
  bool spot = false;
  std::vector<SecurityGroupId> security_groups;
  std::string document;  // the request's own JSON, to be answered as it came
};
struct LaunchTemplate {
  LaunchTemplateId id;
  std::string name;
  TimePoint created{};
  std::map<int, LaunchTemplateData> versions;
  int default_version = 1;
  Tags tags;
};

struct AutoScalingGroup {
  GroupName name;
  std::string arn;
  LaunchTemplateId launch_template;
  std::string launch_template_version;      // "1", "$Latest", "$Default"
  std::vector<std::string> instance_types;  // overrides of a mixed instances policy, in order; empty: the template's
  // On-demand instances take the first type; the others are spot instances, spread evenly over the `spot_pools` cheapest types
  // of each zone. Without a mixed instances policy all are on demand.
  int on_demand_base = 0;
  int on_demand_percentage = 100;  // of what goes beyond the base
  unsigned spot_pools = 1;
  std::vector<SubnetId> subnets;
  int min_size = 0, max_size = 0, desired = 0;
  TimePoint created{};
  bool protect_new_instances = false;
  Tags tags;
  std::set<std::string> propagated_tags;  // the keys of `tags` that instances get at launch
  std::string document;                   // what Describe answers beyond the above, as JSON of the service
  struct Activity {
    std::string id, description, cause, status;  // Successful, Failed, InProgress
    TimePoint started{}, ended{};
  };
  std::vector<Activity> activities;  // newest last, 100 at most
};

struct Instance {
  InstanceId id;
  std::string type;
  std::string image_id;
  SubnetId subnet;
  std::string zone;
  InterfaceId interface;          // the primary one
  std::string state = "pending";  // pending running shutting-down terminated stopping stopped
  std::string instance_profile;   // name
  std::string user_data;
  GroupName group;  // empty outside of a group
  bool spot = false;
  bool protected_from_scale_in = false;
  TimePoint launched{}, terminated{};
  std::string console;  // what `aws ec2 get-console-output` shows: the agent's words among them
  std::string state_reason;
  std::string client_token;  // of the RunInstances that made it
  Tags tags;
};

inline bool alive(const Instance& instance) { return instance.state == "pending" || instance.state == "running"; }

struct EcsCluster {
  ClusterName name;
  std::string arn;
  std::string status = "ACTIVE";  // ACTIVE INACTIVE
  std::vector<std::string> capacity_providers;
  std::string document;  // settings, configuration, default strategy, tags: JSON of the service
  Tags tags;
};

struct ContainerInstance {
  ContainerInstanceId id;
  ClusterName cluster;
  std::string arn;
  InstanceId ec2_instance;
  std::string zone;
  SubnetId subnet;
  std::string status = "ACTIVE";  // REGISTERING ACTIVE DRAINING DEREGISTERING INACTIVE
  bool agent_connected = true;
  TimePoint registered{};
  unsigned version = 1;
  int cpu = 0, memory_mib = 0;                                   // registered
  std::set<int> ports{22, 2375, 2376, 51678, 51679}, udp_ports;  // registered as taken
  std::map<std::string, std::string> attributes;                 // ecs.* and custom; empty value: present without one
  std::string version_info;                                      // agent, docker: JSON of the service
  std::string agent_version;                                     // "1.105.1", for the query language
  std::string status_reason;
  TimePoint deregistered{};
  Tags tags;
};

}  // namespace berth::cluster_sim

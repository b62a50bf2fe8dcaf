// Cluster: zones, network, capacity, placement and the life of tasks as one state machine.
//
// Pure: no I/O, no threads, no clock; time and randomness come in, what should happen outside comes out as Effects. Not
// thread-safe: the control plane calls it under its lock, the simulator from its one thread. Errors carry texts without AWS
// codes; Code says which kind; the services translate.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "broker/base/clock.hpp"
#include "broker/base/error.hpp"
#include "broker/base/random.hpp"
#include "cluster_sim/capacity.hpp"
#include "cluster_sim/ids.hpp"
#include "cluster_sim/network.hpp"
#include "cluster_sim/task.hpp"

namespace berth::cluster_sim {

// What the shell must do; delivered after the state that led to it is durable.
struct LaunchTask {
  TaskId task;
};
struct StopTask {
  TaskId task;
};
struct BootInstance {
  InstanceId instance;
};  // then instance_running(), and the agent registers
struct TerminateInstance {
  InstanceId instance;
};  // then instance_terminated()
using Effect = std::variant<LaunchTask, StopTask, BootInstance, TerminateInstance>;

// A record that changed (or went): kinds "vpc", "subnet", "security-group", "interface", "launch-template",
// "auto-scaling-group", "instance", "ecs-cluster", "container-instance", "task".
struct Change {
  std::string kind, key;
  auto operator<=>(const Change&) const = default;
};

struct Settings {
  std::string account;  // 12 digits
  std::string region = "us-east-1";
  std::vector<std::string> zones{"us-east-1a", "us-east-1b"};
  std::chrono::seconds stopped_task_retention{3600};  // how long STOPPED tasks stay describable
};

// use1-az1 for us-east-1a.
std::string zone_id_of(const Settings& settings, std::string_view zone);

struct State;  // state.hpp: the tables and indexes, for this folder only

class Cluster {
 public:
  explicit Cluster(Settings settings);
  ~Cluster();
  Cluster(Cluster&&) noexcept;
  Cluster& operator=(Cluster&&) noexcept;
  const Settings& settings() const;

  // --- network
  Result<VpcId> create_vpc(Random&, Cidr block, Tags);
  Result<> delete_vpc(const VpcId&);
  Result<SubnetId> create_subnet(Random&, const VpcId&, std::string zone, Cidr block, Tags);
  Result<> delete_subnet(const SubnetId&);
  Result<SecurityGroupId> create_security_group(Random&, const VpcId&, std::string name, std::string description, Tags);
  Result<> delete_security_group(const SecurityGroupId&);
  // `address` 0: the lowest free one. Code::resource_exhausted where the subnet has none left.
  Result<InterfaceId> create_interface(Random&, const SubnetId&, std::uint32_t address, std::vector<SecurityGroupId>,
                                       std::string owner, std::string description, Tags);
  Result<> delete_interface(const InterfaceId&);

  // --- capacity
  Result<LaunchTemplateId> create_launch_template(TimePoint now, Random&, std::string name, LaunchTemplateData, Tags);
  Result<int> create_launch_template_version(const LaunchTemplateId&, LaunchTemplateData);
  Result<> delete_launch_template(const LaunchTemplateId&);
  Result<> create_group(TimePoint now, Random&, AutoScalingGroup);
  Result<> update_group(TimePoint now, Random&, const GroupName&, std::optional<int> min, std::optional<int> max,
                        std::optional<int> desired);
  // Launches or terminates until the group has what it wants; for after an edit() of its subnets or types.
  void reconcile_group(TimePoint now, Random&, const GroupName&);
  // Ends an instance of a group; the group replaces it unless its desired capacity goes down by one with it.
  Result<> terminate_in_group(TimePoint now, Random&, const InstanceId&, bool decrement_desired);
  Result<> delete_group(TimePoint now, Random&, const GroupName&, bool force);
  Result<std::vector<InstanceId>> run_instances(TimePoint now, Random&, LaunchTemplateData, const SubnetId&, int count, Tags);
  Result<> terminate_instance(TimePoint now, Random&, const InstanceId&);
  // The instance boots again: BootInstance once more, so that its agent registers anew.
  Result<> reboot_instance(TimePoint now, const InstanceId&);
  // The shell's answers to BootInstance and TerminateInstance. `console` lines are added to the instance's console.
  void instance_running(TimePoint now, const InstanceId&, std::string_view console);
  void instance_console(const InstanceId&, std::string_view line);
  void instance_terminated(TimePoint now, Random&, const InstanceId&);

  // --- ECS
  Result<ClusterName> create_cluster(std::string name, std::string document, Tags);  // idempotent by name
  Result<> delete_cluster(const ClusterName&);
  struct Registration {
    ClusterName cluster;
    InstanceId instance;
    int cpu = 0, memory_mib = 0;
    std::set<int> ports, udp_ports;
    std::map<std::string, std::string> attributes;
    std::string version_info, agent_version;
    Tags tags;
  };
  Result<ContainerInstanceId> register_container_instance(TimePoint now, Random&,
                                                          Registration);  // again by the same instance: the same id
  Result<> deregister_container_instance(TimePoint now, const ContainerInstanceId&, bool force);
  Result<> set_container_instance_status(TimePoint now, const ContainerInstanceId&, bool draining);
  void set_agent_connected(const ContainerInstanceId&, bool connected);
  // Container instances of a cluster (INACTIVE ones left out) for which an expression of the cluster query language is true;
  // all of them for an empty one. Code::invalid_argument for an expression that can't be read.
  Result<std::vector<ContainerInstanceId>> filter_container_instances(const ClusterName&, std::string_view expression) const;

  // Places `count` tasks or says why not, instance by instance. An Error only for what the call itself got wrong.
  Result<RunTaskResult> run_task(TimePoint now, Random&, const RunTask&);
  Result<> stop_task(TimePoint now, const TaskId&, std::string stop_code, std::string reason);
  void task_event(TimePoint now, const TaskId&, const TaskEvent&);
  // Forgets STOPPED tasks, terminated instances and INACTIVE container instances older than the retention.
  void expire(TimePoint now);

  // Remaining = registered minus what placed tasks reserve.
  struct Remaining {
    int cpu = 0, memory_mib = 0;
    std::set<int> ports, udp_ports;  // taken, the registered ones among them
    int interfaces = 0;              // awsvpc tasks that still fit
    int running_tasks = 0, pending_tasks = 0;
  };
  Remaining remaining(const ContainerInstanceId&) const;

  // --- records, read-only; mutable access notes the change
  const std::map<VpcId, Vpc>& vpcs() const;
  const std::map<SubnetId, Subnet>& subnets() const;
  const std::map<SecurityGroupId, SecurityGroup>& security_groups() const;
  const std::map<InterfaceId, Interface>& interfaces() const;
  const std::map<LaunchTemplateId, LaunchTemplate>& launch_templates() const;
  const std::map<GroupName, AutoScalingGroup>& groups() const;
  const std::map<InstanceId, Instance>& instances() const;
  const std::map<ClusterName, EcsCluster>& clusters() const;
  const std::map<ContainerInstanceId, ContainerInstance>& container_instances() const;
  const std::map<TaskId, Task>& tasks() const;
  // nullptr where there is none; the record counts as changed.
  Vpc* edit(const VpcId&);
  Subnet* edit(const SubnetId&);
  SecurityGroup* edit(const SecurityGroupId&);
  Interface* edit(const InterfaceId&);
  LaunchTemplate* edit(const LaunchTemplateId&);
  AutoScalingGroup* edit(const GroupName&);
  Instance* edit(const InstanceId&);
  EcsCluster* edit(const ClusterName&);
  ContainerInstance* edit(const ContainerInstanceId&);
  Task* edit(const TaskId&);

  std::vector<Effect> take_effects();
  std::vector<Change> take_changes();
  // Put a record back as it was stored; notes no change. Indexes and reservations follow from the records.
  void restore(Vpc);
  void restore(Subnet);
  void restore(SecurityGroup);
  void restore(Interface);
  void restore(LaunchTemplate);
  void restore(AutoScalingGroup);
  void restore(Instance);
  void restore(EcsCluster);
  void restore(ContainerInstance);
  void restore(Task);

 private:
  std::unique_ptr<State> state_;
};

}  // namespace berth::cluster_sim

// A task: what was asked for, where it was placed, and how far its life has come.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "broker/base/clock.hpp"
#include "cluster_sim/ids.hpp"
#include "cluster_sim/network.hpp"

namespace berth::cluster_sim {

enum class LaunchType { ec2, fargate };

enum class TaskStatus { provisioning, pending, activating, running, deactivating, stopping, deprovisioning, stopped };
std::string_view to_string(TaskStatus status);  // "PROVISIONING"

struct HostPort {
  int port = 0;
  bool udp = false;
};

struct PlacementConstraint {
  enum class Kind { distinct_instance, member_of } kind = Kind::member_of;
  std::string expression;
};
struct PlacementStrategy {
  enum class Kind { random, spread, binpack } kind = Kind::random;
  std::string field;  // spread: "instanceId", "host", "attribute:ecs.availability-zone"; binpack: "cpu", "memory"
};

// What placement must know of a task definition revision, with the overrides of the call already in.
struct TaskRequirements {
  std::string task_definition_arn;
  bool awsvpc = false;          // needs a network interface of its own
  int cpu = 0, memory_mib = 0;  // reserved on the instance, or the Fargate size
  std::vector<HostPort> ports;
  std::vector<std::string> attributes;  // requiresAttributes: "name" or "name=value"
  std::vector<PlacementConstraint> constraints;
  std::vector<std::string> containers;  // names, in the definition's order
  std::vector<bool> essential;
};

struct CapacityShare {   // an item of a capacity provider strategy
  std::string provider;  // FARGATE, FARGATE_SPOT
  int base = 0, weight = 0;
};

struct RunTask {
  ClusterName cluster;
  TaskRequirements requirements;
  int count = 1;
  LaunchType launch_type = LaunchType::ec2;
  std::vector<CapacityShare> capacity;         // in place of launch_type where not empty
  std::vector<ContainerInstanceId> instances;  // StartTask: exactly there, one task each
  std::vector<PlacementConstraint> constraints;
  std::vector<PlacementStrategy> strategy;
  std::vector<SubnetId> subnets;
  std::vector<SecurityGroupId> security_groups;
  std::string group;  // "family:<family>" by default
  std::string started_by;
  Tags tags;
  std::string document;  // the service's own JSON, carried and not understood: overrides, roles, enableExecuteCommand, ...
};

struct ContainerState {
  std::string name;
  bool essential = true;
  std::string last_status = "PENDING";  // PENDING RUNNING STOPPED
  std::string runtime_id;
  std::optional<int> exit_code;
  std::string reason;
  std::string health = "UNKNOWN";
};

struct Task {
  TaskId id;
  std::string arn;
  ClusterName cluster;
  std::string task_definition_arn;
  TaskRequirements requirements;
  LaunchType launch_type = LaunchType::ec2;
  std::string capacity_provider;
  std::optional<ContainerInstanceId> container_instance;
  std::string zone;
  // The interface's record is gone once the task is STOPPED; what is shown of it stays here.
  std::optional<InterfaceId> interface;
  std::string attachment_id;
  SubnetId subnet;
  std::string address, mac;
  TaskStatus last = TaskStatus::provisioning;
  bool stop_wanted = false;  // desiredStatus STOPPED
  std::vector<ContainerState> containers;
  std::string group, started_by;
  std::string stop_code, stopped_reason;
  std::string health = "UNKNOWN";
  unsigned version = 1;
  TimePoint created{};
  std::optional<TimePoint> connectivity_at, pull_started, pull_stopped, started, stopping, execution_stopped, stopped;
  std::string connectivity;
  Tags tags;
  std::string document;
};

struct Failure {
  std::string arn;  // of the container instance; empty where there is none
  std::string
      reason;  // RESOURCE:CPU, RESOURCE:MEMORY, RESOURCE:PORTS, RESOURCE:ENI, AGENT, LOCATION, ATTRIBUTE, MISSING, INACTIVE, ...
  std::string detail;
};
struct RunTaskResult {
  std::vector<TaskId> tasks;
  std::vector<Failure> failures;
};

// What the runtime reports of a task.
struct PullStarted {};
struct PullStopped {};
struct ContainerStarted {
  std::string container, runtime_id;
};
struct ContainerExited {
  std::string container;
  int exit_code = 0;
  std::string reason;
};
struct TaskRunning {};
struct TaskFailedToStart {
  std::string reason, container;
};
struct TaskGone {};  // everything that was made for it is gone
struct HealthChanged {
  std::string container, status;
};
using TaskEvent = std::variant<PullStarted, PullStopped, ContainerStarted, ContainerExited, TaskRunning, TaskFailedToStart,
                               TaskGone, HealthChanged>;

}  // namespace berth::cluster_sim

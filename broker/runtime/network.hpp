// Network: the VPC as a network namespace of Berth's own, and one network namespace a task.
//
//   task A: eth0 10.0.1.17/24 ──veth── [ VPC namespace: routes 10.0.1.17/32, gateways and 169.254.170.2 on lo ] ──veth── task B
//
// The VPC routes between the tasks' devices, as Amazon's does; there is no shared Ethernet segment. Each device takes packets
// from its own task's address only (strict reverse path filter), so no task can speak as another, raw sockets or not. The
// listeners at 169.254.170.2 are in the VPC's namespace, each bound to one task's device: the socket says who asks, and port 80
// inside the task stays free for the task. Nothing connects the VPC with the host. Thread-safe.
#pragma once

#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "broker/base/error.hpp"
#include "broker/base/unique_fd.hpp"
#include "broker/runtime/paths.hpp"
#include "broker/runtime/task_launch.hpp"

namespace berth::runtime {

inline constexpr const char* kTaskEndpointAddress = "169.254.170.2";
inline constexpr unsigned kMetadataPort = 80;

struct TaskNetwork {
  std::string namespace_path;  // for the OCI runtime
  std::string address;         // of eth0; empty with NetworkMode::none
  UniqueFd metadata, front_door;
};

class Network {
 public:
  // Makes the VPC's namespace or goes on with the one that the daemon before made.
  static Result<std::unique_ptr<Network>> open(const Paths& paths, unsigned front_door_port);

  Result<> add_subnet(const std::string& gateway);
  // Writes the address that it gave into `task.interface` where the mode is bridge: keep it for restore() and remove().
  Result<TaskNetwork> create(TaskLaunch& task);
  // An adopted task's addresses are in use.
  void restore(const TaskLaunch& task);
  // Accepts tasks that it never saw. The listeners must be closed by then.
  void remove(const TaskLaunch& task) noexcept;
  // After the last task: nothing of the VPC stays.
  void close() noexcept;

  // The device of a task in the VPC's namespace.
  static std::string device_of(const TaskId& task);

 private:
  Network(const Paths& paths, unsigned front_door_port) : paths_(paths), front_door_port_(front_door_port) {}
  Result<> make_vpc();
  Result<> connect(const TaskLaunch& task, const NetworkInterface& interface);
  Result<> listen(const TaskLaunch& task, TaskNetwork& network);
  NetworkInterface bridge_interface();
  std::string vpc() const { return paths_.network_namespace("vpc"); }

  const Paths paths_;
  const unsigned front_door_port_;
  std::mutex mutex_;
  std::set<std::string> gateways_;
  std::set<std::string> bridge_addresses_;  // in use by tasks with NetworkMode::bridge
};

}  // namespace berth::runtime

// SimulatedAgent: what happens inside a simulated EC2 instance when it boots and when it ends.
//
// An instance of the ECS-optimized image runs the ECS agent, which registers it by calling ECS as the role of the instance's
// profile, through the same authorization as everybody. Where it is refused, AWS's sentence is on the instance's console and in
// the log, and the agent tries again every 30 seconds (as the real one is restarted by its service manager) as long as the
// instance runs; a reboot tries at once.
//
// Runs on the threads that call it; must outlive the timers that it sets. Thread-safe.
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <set>
#include <string>

#include "broker/api/operation.hpp"
#include "cluster_sim/ids.hpp"
#include "credentials/principal.hpp"

namespace berth::control {
class ControlPlane;
}

namespace berth::agent {

class SimulatedAgent {
 public:
  struct Parts {
    control::ControlPlane& plane;
    // A call inside the daemon, authorized as the principal's: api::Dispatcher::call.
    std::function<api::Outcome<api::Json>(const credentials::Principal&, const std::string& service, const std::string& operation,
                                          const api::Json& input)>
        call;
    // Runs the function once, later, on any thread. Empty: a refused agent waits for a reboot.
    std::function<void(std::chrono::seconds, std::function<void()>)> after;
  };
  explicit SimulatedAgent(Parts parts) : parts_(std::move(parts)) {}

  // Carries BootInstance out: the instance runs, its agent registers. Blocks for a commit of the store.
  void boot(const cluster_sim::InstanceId& id);
  // Carries TerminateInstance out.
  void terminate(const cluster_sim::InstanceId& id);
  // After a start of the daemon: agents of running instances that are not registered try again.
  void resume();

 private:
  void register_instance(const cluster_sim::InstanceId& id);
  void refused(const cluster_sim::InstanceId& id, const std::string& cluster, const std::string& why);

  Parts parts_;
  std::mutex mutex_;
  std::set<cluster_sim::InstanceId> waiting_;  // for their next try: one timer an instance
};

}  // namespace berth::agent

#include "broker/agent/agent.hpp"

#include <optional>

#include <nlohmann/json.hpp>

#include "broker/agent/registration.hpp"
#include "broker/base/log.hpp"
#include "broker/control/control_plane.hpp"
#include "cluster_sim/images.hpp"

namespace berth::agent {
namespace {

using api::Json;
using cluster_sim::InstanceId;
using control::Control;
using credentials::Principal;

constexpr std::chrono::seconds kRetry{30};
constexpr std::chrono::hours kRoleSession{6};  // as long as EC2's instance credentials last

// What the agent needs to know, read under the lock once.
struct Machine {
  cluster_sim::Instance instance;
  cluster_sim::Settings settings;
  std::optional<Principal> role;  // nullopt: no profile, or none with a role
  std::string no_role;            // why
};

void find_role(const Control& c, Machine& machine) {
  const std::string& name = machine.instance.instance_profile;
  if (name.empty()) {
    machine.no_role = "NoCredentialProviders: the instance has no instance profile";
    return;
  }
  const auto* profile = c.identities->find_instance_profile(name);
  const auto* role = profile ? c.identities->find_role(profile->role) : nullptr;
  if (!role) {
    machine.no_role =
        fmt::format("NoCredentialProviders: instance profile `{}` {}", name, profile ? "has no role" : "does not exist");
    return;
  }
  const std::string& session = machine.instance.id.str();
  machine.role =
      Principal{.kind = Principal::Kind::assumed_role,
                .account = machine.settings.account,
                .arn = fmt::format("arn:aws:sts::{}:assumed-role/{}/{}", machine.settings.account, role->name, session),
                .unique_id = role->id + ":" + session,
                .name = role->name,
                .access_key_id = {},
                .role_arn = role->arn,
                .session_name = session,
                .session_tags = {},
                .session_policies = {},
                .issued_at = c.now,
                .expires_at = c.now + kRoleSession};
}

// nullopt: gone, not running, or without an agent.
std::optional<Machine> find_machine(control::ControlPlane& plane, const InstanceId& id) {
  return plane.apply([&](Control& c) -> std::optional<Machine> {
    auto found = c.cluster.instances().find(id);
    if (found == c.cluster.instances().end() || found->second.state != "running") return std::nullopt;
    const cluster_sim::Image* image = cluster_sim::find_image(found->second.image_id);
    if (!image || !image->ecs_optimized) return std::nullopt;
    Machine machine{.instance = found->second, .settings = c.cluster.settings(), .role = {}, .no_role = {}};
    find_role(c, machine);
    return machine;
  });
}

}  // namespace

void SimulatedAgent::boot(const InstanceId& id) {
  parts_.plane.apply([&](Control& c) { c.cluster.instance_running(c.now, id, fmt::format("{} booted\n", to_iso8601(c.now))); });
  register_instance(id);
}

void SimulatedAgent::terminate(const InstanceId& id) {
  parts_.plane.apply([&](Control& c) { c.cluster.instance_terminated(c.now, c.random, id); });
  log::info("instance terminated", {{"instance", id.str()}});
}

void SimulatedAgent::resume() {
  const auto unregistered = parts_.plane.read([](const Control& c) {
    std::set<InstanceId> ids;
    for (const auto& [id, instance] : c.cluster.instances()) {
      if (instance.state == "running") ids.insert(id);
    }
    for (const auto& [id, registered] : c.cluster.container_instances()) {
      if (registered.status != "INACTIVE") ids.erase(registered.ec2_instance);
    }
    return ids;
  });
  for (const auto& id : unregistered) register_instance(id);
}

void SimulatedAgent::register_instance(const InstanceId& id) {
  const auto machine = find_machine(parts_.plane, id);
  if (!machine) return;
  const EcsConfig config = read_ecs_config(machine->instance.user_data);
  if (!machine->role) return refused(id, config.cluster, machine->no_role);
  const Json input = registration_input(machine->instance, machine->settings, config);
  auto registered = parts_.call(*machine->role, "ecs", "RegisterContainerInstance", input);
  // The agent makes the default cluster where there is none, and no other.
  if (!registered && registered.error().code == "ClusterNotFoundException" && config.cluster == "default") {
    const auto made = parts_.call(*machine->role, "ecs", "CreateCluster", {{"clusterName", config.cluster}});
    if (!made) return refused(id, config.cluster, made.error().code + ": " + made.error().message);
    registered = parts_.call(*machine->role, "ecs", "RegisterContainerInstance", input);
  }
  if (!registered) return refused(id, config.cluster, registered.error().code + ": " + registered.error().message);
  const std::string line = fmt::format("ecs-agent: registered container instance in cluster {}", config.cluster);
  parts_.plane.apply([&](Control& c) { c.cluster.instance_console(id, line); });
  log::info("container instance registered", {{"instance", id.str()}, {"cluster", config.cluster}});
}

void SimulatedAgent::refused(const InstanceId& id, const std::string& cluster, const std::string& why) {
  parts_.plane.apply([&](Control& c) {
    c.cluster.instance_console(id, "ecs-agent: unable to register as a container instance with ECS: " + why);
  });
  log::warning("agent could not register its instance", {{"instance", id.str()}, {"cluster", cluster}, {"error", why}});
  if (!parts_.after) return;
  {
    const std::scoped_lock lock(mutex_);
    if (!waiting_.insert(id).second) return;
  }
  parts_.after(kRetry, [this, id] {
    {
      const std::scoped_lock lock(mutex_);
      waiting_.erase(id);
    }
    register_instance(id);
  });
}

}  // namespace berth::agent

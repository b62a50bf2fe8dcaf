// Launch templates and the life of instances.

#include "cluster_sim/instances.hpp"

#include <algorithm>

#include "cluster_sim/interfaces.hpp"
#include "cluster_sim/task_life.hpp"

namespace berth::cluster_sim {

Result<InstanceId> launch(State& state, TimePoint now, Random& random, InstanceWish wish) {
  if (!find_instance_type(wish.data.instance_type)) {
    return fail(Code::invalid_argument, "Invalid value '{}' for InstanceType.", wish.data.instance_type);
  }
  const Subnet* subnet = find(state.subnets, wish.subnet);
  if (!subnet) return fail(Code::not_found, "The subnet ID '{}' does not exist", wish.subnet.str());
  const InstanceId id(new_ec2_id(random, "i"));
  auto interface = make_interface(state, random, {wish.subnet, 0, wish.data.security_groups, "instance/" + id.str(), "", {}});
  if (!interface) return fail(interface.error());
  Instance& instance = state.instances[id];
  instance.id = id;
  instance.type = wish.data.instance_type;
  instance.image_id = wish.data.image_id;
  instance.subnet = wish.subnet;
  instance.zone = subnet->zone;
  instance.interface = *interface;
  instance.instance_profile = wish.data.instance_profile;
  instance.user_data = wish.data.user_data;
  instance.group = wish.group;
  instance.spot = wish.data.spot;
  instance.protected_from_scale_in = wish.protected_from_scale_in;
  instance.launched = now;
  instance.tags = std::move(wish.tags);
  state.changed(id);
  state.effects.emplace_back(BootInstance{id});
  return id;
}

ContainerInstance* registered_as(State& state, const InstanceId& id) {
  for (auto& [key, instance] : state.container_instances) {
    if (instance.ec2_instance == id && instance.status != "INACTIVE") return &instance;
  }
  return nullptr;
}

void terminate(State& state, TimePoint now, Instance& instance, std::string reason) {
  if (instance.state == "shutting-down" || instance.state == "terminated") return;
  instance.state = "shutting-down";
  instance.state_reason = std::move(reason);
  state.changed(instance.id);
  state.effects.emplace_back(TerminateInstance{instance.id});
  ContainerInstance* registered = registered_as(state, instance.id);
  if (!registered) return;
  const std::string why = fmt::format("Host EC2 (instance {}) terminated.", instance.id.str());
  if (registered->agent_connected) return deregister(state, now, *registered, "TerminationNotice", why);
  // ECS doesn't hear of it: the container instance stays, its tasks are gone all the same.
  if (auto placed = state.tasks_on.find(registered->id); placed != state.tasks_on.end()) {
    for (const auto& task : std::set(placed->second)) want_stop(state, now, state.tasks.at(task), "TerminationNotice", why);
  }
}

Result<LaunchTemplateId> Cluster::create_launch_template(TimePoint now, Random& random, std::string name, LaunchTemplateData data,
                                                         Tags tags) {
  const auto same = [&](const auto& item) { return item.second.name == name; };
  if (std::ranges::any_of(state_->launch_templates, same))
    return fail(Code::already_exists, "Launch template name already in use.");
  const LaunchTemplateId id(new_ec2_id(random, "lt"));
  LaunchTemplate made{.id = id, .name = std::move(name), .created = now, .versions = {}, .tags = std::move(tags)};
  made.versions.emplace(1, std::move(data));
  state_->launch_templates.emplace(id, std::move(made));
  state_->changed(id);
  return id;
}

Result<int> Cluster::create_launch_template_version(const LaunchTemplateId& id, LaunchTemplateData data) {
  LaunchTemplate* found = edit(id);
  if (!found) return fail(Code::not_found, "The specified launch template, with template ID {}, does not exist.", id.str());
  const int version = found->versions.rbegin()->first + 1;
  found->versions.emplace(version, std::move(data));
  return version;
}

Result<> Cluster::delete_launch_template(const LaunchTemplateId& id) {
  if (state_->launch_templates.erase(LaunchTemplateId(id)) == 0) {
    return fail(Code::not_found, "The specified launch template, with template ID {}, does not exist.", id.str());
  }
  state_->changed(id);
  return {};
}

// All or none, as MinCount = MaxCount asks for. What each instance gets is a copy.
// NOLINTBEGIN(performance-unnecessary-value-param)
Result<std::vector<InstanceId>> Cluster::run_instances(TimePoint now, Random& random, LaunchTemplateData data,
                                                       const SubnetId& subnet_id, int count, Tags tags) {
  // NOLINTEND(performance-unnecessary-value-param)
  const Subnet* subnet = find(state_->subnets, subnet_id);
  if (!subnet) return fail(Code::not_found, "The subnet ID '{}' does not exist", subnet_id.str());
  if (count < 1) return fail(Code::invalid_argument, "count must be at least 1");
  if (subnet->free_addresses() < static_cast<unsigned>(count)) {
    return fail(Code::resource_exhausted,
                "There are not enough free addresses in subnet '{}' to satisfy the requested number of instances.",
                subnet_id.str());
  }
  std::vector<InstanceId> ids;
  for (int i = 0; i < count; ++i) {
    auto launched = launch(*state_, now, random, {data, subnet_id, {}, false, tags});
    if (!launched) return fail(launched.error());
    ids.push_back(*launched);
  }
  return ids;
}

Result<> Cluster::terminate_instance(TimePoint now, Random&, const InstanceId& id) {
  auto found = state_->instances.find(id);
  if (found == state_->instances.end()) return fail(Code::not_found, "The instance ID '{}' does not exist", id.str());
  terminate(*state_, now, found->second, "Client.UserInitiatedShutdown: User initiated shutdown");
  return {};
}

Result<> Cluster::reboot_instance(TimePoint, const InstanceId& id) {
  const Instance* instance = find(state_->instances, id);
  if (!instance) return fail(Code::not_found, "The instance ID '{}' does not exist", id.str());
  if (instance->state != "running")
    return fail(Code::failed_precondition, "The instance '{}' is not in the 'running' state.", id.str());
  state_->effects.emplace_back(BootInstance{id});
  return {};
}

void Cluster::instance_running(TimePoint, const InstanceId& id, std::string_view console) {
  Instance* instance = edit(id);
  if (!instance) return;
  if (instance->state == "pending") instance->state = "running";
  instance->console += console;
}

void Cluster::instance_console(const InstanceId& id, std::string_view line) {
  // EC2 keeps the last 64 KB.
  static constexpr std::size_t kConsoleBytesMax = 65536;
  Instance* instance = edit(id);
  if (!instance) return;
  instance->console.append(line).append("\n");
  if (instance->console.size() > kConsoleBytesMax) instance->console.erase(0, instance->console.size() - kConsoleBytesMax);
}

void Cluster::instance_terminated(TimePoint now, Random& random, const InstanceId& id) {
  Instance* instance = edit(id);
  if (!instance || instance->state == "terminated") return;
  terminate(*state_, now, *instance, "Server.InternalError");  // it went by itself
  instance->state = "terminated";
  instance->terminated = now;
  free_interface(*state_, instance->interface);
  if (AutoScalingGroup* group = edit(instance->group)) reconcile(*state_, now, random, *group, "an instance was terminated");
}

// A time that was never set has not passed.
void Cluster::expire(TimePoint now) {
  const auto passed = [&](TimePoint end) { return end != TimePoint{} && now - end >= state_->settings.stopped_task_retention; };
  const auto forget = [&](auto& table, auto is_over) {
    for (auto at = table.begin(); at != table.end();) {
      if (!is_over(at->second)) {
        ++at;
        continue;
      }
      state_->changed(at->first);
      at = table.erase(at);
    }
  };
  forget(state_->tasks,
         [&](const Task& task) { return task.last == TaskStatus::stopped && task.stopped && passed(*task.stopped); });
  forget(state_->instances,
         [&](const Instance& instance) { return instance.state == "terminated" && passed(instance.terminated); });
  forget(state_->container_instances, [&](const ContainerInstance& instance) {
    return instance.status == "INACTIVE" && passed(instance.deregistered) && !state_->tasks_on.contains(instance.id);
  });
}

}  // namespace berth::cluster_sim

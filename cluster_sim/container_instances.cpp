// ECS clusters and the instances registered in them.

#include <algorithm>

#include "cluster_sim/instances.hpp"
#include "cluster_sim/placement.hpp"
#include "cluster_sim/task_life.hpp"

namespace berth::cluster_sim {
namespace {

bool active(const EcsCluster* cluster) { return cluster && cluster->status == "ACTIVE"; }

std::unexpected<Error> no_container_instance(const ContainerInstanceId& id) {
  return fail(Code::not_found, "The referenced container instance `{}` was not found.", id.str());
}

// What ECS knows of the machine by itself; an agent can't say otherwise.
void add_built_in_attributes(const State& state, const Instance& machine, std::map<std::string, std::string>& attributes) {
  attributes["ecs.availability-zone"] = machine.zone;
  attributes["ecs.instance-type"] = machine.type;
  attributes["ecs.ami-id"] = machine.image_id;
  attributes["ecs.subnet-id"] = machine.subnet.str();
  if (const Subnet* subnet = find(state.subnets, machine.subnet)) attributes["ecs.vpc-id"] = subnet->vpc.str();
  attributes.emplace("ecs.os-type", "linux");
  attributes.emplace("ecs.cpu-architecture", "x86_64");
}

}  // namespace

Result<ClusterName> Cluster::create_cluster(std::string name, std::string document, Tags tags) {
  const ClusterName id(name);
  if (active(find(state_->clusters, id))) return id;
  EcsCluster& made = state_->clusters[id];
  made = EcsCluster{.name = id,
                    .arn = fmt::format("arn:aws:ecs:{}:{}:cluster/{}", settings().region, settings().account, name),
                    .capacity_providers = {},
                    .document = std::move(document),
                    .tags = std::move(tags)};
  state_->changed(id);
  return id;
}

Result<> Cluster::delete_cluster(const ClusterName& name) {
  auto found = state_->clusters.find(name);
  if (found == state_->clusters.end() || !active(&found->second)) return fail(Code::not_found, "Cluster not found.");
  const bool has_instances = std::ranges::any_of(state_->container_instances, [&](const auto& item) {
    return item.second.cluster == name && item.second.status != "INACTIVE";
  });
  if (has_instances)
    return fail(Code::failed_precondition, "The Cluster cannot be deleted while Container Instances are active or draining.");
  const bool has_tasks = std::ranges::any_of(
      state_->tasks, [&](const auto& item) { return item.second.cluster == name && item.second.last != TaskStatus::stopped; });
  if (has_tasks) return fail(Code::failed_precondition, "The Cluster cannot be deleted while Tasks are active.");
  found->second.status = "INACTIVE";
  state_->changed(name);
  return {};
}

Result<ContainerInstanceId> Cluster::register_container_instance(TimePoint now, Random& random, Registration registration) {
  if (!active(find(state_->clusters, registration.cluster))) return fail(Code::not_found, "Cluster not found.");
  const Instance* machine = find(state_->instances, registration.instance);
  if (!machine || machine->state != "running") {
    return fail(Code::invalid_argument, "instance `{}` is not a running one", registration.instance.str());
  }
  ContainerInstance* known = registered_as(*state_, registration.instance);
  if (known && known->cluster != registration.cluster) {
    return fail(Code::failed_precondition, "instance `{}` is registered in cluster `{}`", registration.instance.str(),
                known->cluster.str());
  }
  const ContainerInstanceId id = known ? known->id : ContainerInstanceId(random.hex(32));
  ContainerInstance& instance = state_->container_instances[id];
  if (!known) {
    instance.id = id;
    instance.cluster = registration.cluster;
    instance.arn = fmt::format("arn:aws:ecs:{}:{}:container-instance/{}/{}", settings().region, settings().account,
                               registration.cluster.str(), id.str());
    instance.ec2_instance = registration.instance;
    instance.zone = machine->zone;
    instance.subnet = machine->subnet;
    instance.registered = now;
    instance.tags = std::move(registration.tags);
  } else {
    ++instance.version;
  }
  instance.agent_connected = true;
  instance.cpu = registration.cpu;
  instance.memory_mib = registration.memory_mib;
  if (!registration.ports.empty()) instance.ports = std::move(registration.ports);
  instance.udp_ports = std::move(registration.udp_ports);
  for (auto& [name, value] : registration.attributes) instance.attributes[name] = std::move(value);
  add_built_in_attributes(*state_, *machine, instance.attributes);
  instance.version_info = std::move(registration.version_info);
  instance.agent_version = std::move(registration.agent_version);
  state_->changed(id);
  return id;
}

void deregister(State& state, TimePoint now, ContainerInstance& instance, const std::string& stop_code,
                const std::string& reason) {
  instance.status = "INACTIVE";
  instance.agent_connected = false;
  instance.deregistered = now;
  ++instance.version;
  state.changed(instance.id);
  auto placed = state.tasks_on.find(instance.id);
  if (placed == state.tasks_on.end()) return;
  for (const auto& task : std::set(placed->second)) want_stop(state, now, state.tasks.at(task), stop_code, reason);
}

Result<> Cluster::deregister_container_instance(TimePoint now, const ContainerInstanceId& id, bool force) {
  auto found = state_->container_instances.find(id);
  if (found == state_->container_instances.end() || found->second.status == "INACTIVE") return no_container_instance(id);
  if (state_->tasks_on.contains(id) && !force) return fail(Code::failed_precondition, "Found running tasks on the instance.");
  // AWS leaves such tasks running, watched by nobody. Berth runs them itself and lets nothing run unwatched: they stop.
  deregister(*state_, now, found->second, "UserInitiated", "Container instance deregistration forced by user");
  return {};
}

Result<> Cluster::set_container_instance_status(TimePoint, const ContainerInstanceId& id, bool draining) {
  auto found = state_->container_instances.find(id);
  if (found == state_->container_instances.end()) return no_container_instance(id);
  ContainerInstance& instance = found->second;
  if (instance.status != "ACTIVE" && instance.status != "DRAINING") {
    return fail(Code::failed_precondition, "the container instance is {}: only ACTIVE and DRAINING ones can be changed",
                instance.status);
  }
  instance.status = draining ? "DRAINING" : "ACTIVE";
  ++instance.version;
  state_->changed(id);
  return {};
}

void Cluster::set_agent_connected(const ContainerInstanceId& id, bool connected) {
  auto found = state_->container_instances.find(id);
  if (found == state_->container_instances.end() || found->second.status == "INACTIVE" ||
      found->second.agent_connected == connected)
    return;
  // No agent speaks from a machine that is gone.
  const Instance* machine = find(state_->instances, found->second.ec2_instance);
  if (connected && (!machine || machine->state != "running")) return;
  found->second.agent_connected = connected;
  ++found->second.version;
  state_->changed(id);
}

Result<std::vector<ContainerInstanceId>> Cluster::filter_container_instances(const ClusterName& cluster,
                                                                             std::string_view expression) const {
  std::optional<Query> query;
  if (!expression.empty()) {
    auto parsed = Query::parse(expression);
    if (!parsed) return fail(parsed.error());
    query = std::move(*parsed);
  }
  std::vector<ContainerInstanceId> matching;
  for (const auto& candidate : make_candidates(*state_, cluster)) {
    if (!query || query->matches(subject_of(candidate))) matching.push_back(candidate.instance->id);
  }
  return matching;
}

}  // namespace berth::cluster_sim

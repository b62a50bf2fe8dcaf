// RunTask and StartTask: from a request to tasks with their places, or to the reasons why not.

#include <algorithm>
#include <limits>

#include "cluster_sim/interfaces.hpp"
#include "cluster_sim/placement.hpp"
#include "cluster_sim/task_life.hpp"

namespace berth::cluster_sim {
namespace {

// Where one task goes.
struct Place {
  const ContainerInstance* instance = nullptr;  // nullptr: Fargate
  std::string zone, capacity_provider;
};

std::string arn_of(const Settings& settings, std::string_view type, const ClusterName& cluster, const std::string& id) {
  return fmt::format("arn:aws:ecs:{}:{}:{}/{}/{}", settings.region, settings.account, type, cluster.str(), id);
}

// `family:web` for arn:aws:ecs:...:task-definition/web:3.
std::string default_group(const std::string& task_definition_arn) {
  const std::size_t slash = task_definition_arn.rfind('/');
  const std::string family_and_revision = task_definition_arn.substr(slash == std::string::npos ? 0 : slash + 1);
  return "family:" + family_and_revision.substr(0, family_and_revision.rfind(':'));
}

// --- the request by itself; AWS's sentences where they are known

Result<> check_network(const State& state, const RunTask& request) {
  if (!request.requirements.awsvpc) return {};
  if (request.subnets.empty()) {
    return fail(Code::invalid_argument, "Network Configuration must be provided when networkMode 'awsvpc' is specified.");
  }
  std::set<VpcId> vpcs;
  for (const auto& id : request.subnets) {
    const Subnet* subnet = find(state.subnets, id);
    if (!subnet) {
      return fail(Code::invalid_argument,
                  "Error retrieving subnet information for [{0}]: The subnet ID '{0}' does not exist (ErrorCode: "
                  "InvalidSubnetID.NotFound)",
                  id.str());
    }
    vpcs.insert(subnet->vpc);
  }
  if (vpcs.size() > 1) return fail(Code::invalid_argument, "Subnets must all be in the same VPC.");
  for (const auto& id : request.security_groups) {
    const SecurityGroup* group = find(state.security_groups, id);
    if (!group) {
      return fail(Code::invalid_argument,
                  "Error retrieving security group information for [{0}]: The security group '{0}' does not exist (ErrorCode: "
                  "InvalidGroup.NotFound)",
                  id.str());
    }
    if (!vpcs.contains(group->vpc))
      return fail(Code::invalid_argument, "Security group {} is not in the VPC of the subnets.", id.str());
  }
  return {};
}

Result<> check_fargate(const RunTask& request) {
  if (!request.constraints.empty() || !request.requirements.constraints.empty()) {
    return fail(Code::invalid_argument, "Placement constraints are not supported with FARGATE launch type.");
  }
  if (!request.strategy.empty())
    return fail(Code::invalid_argument, "Placement strategies are not supported with FARGATE launch type.");
  if (!request.requirements.awsvpc)
    return fail(Code::invalid_argument, "Fargate requires task definition to have network mode awsvpc.");
  if (!fargate_size_valid(request.requirements.cpu, request.requirements.memory_mib)) {
    return fail(Code::invalid_argument, "No Fargate configuration exists for given values.");
  }
  return {};
}

Result<> check_capacity(const std::vector<CapacityShare>& capacity) {
  int bases = 0;
  bool weighted = capacity.size() == 1;
  for (const auto& share : capacity) {
    if (share.provider != "FARGATE" && share.provider != "FARGATE_SPOT") {
      return fail(Code::unimplemented, "capacity provider `{}`: only FARGATE and FARGATE_SPOT are simulated", share.provider);
    }
    if (share.base < 0 || share.weight < 0)
      return fail(Code::invalid_argument, "base and weight of a capacity provider can't be negative");
    bases += share.base > 0 ? 1 : 0;
    weighted = weighted || share.weight > 0;
  }
  if (bases > 1) return fail(Code::invalid_argument, "Only one capacity provider in a strategy can have a base.");
  if (!weighted)
    return fail(Code::invalid_argument, "At least one capacity provider in a strategy must have a weight greater than 0.");
  return {};
}

// --- a task in its place

// The subnet of `place` with most free addresses; the first of equals. nullptr where none is in its zone.
const Subnet* roomiest_subnet(const State& state, const RunTask& request, const std::string& zone) {
  const Subnet* best = nullptr;
  for (const auto& id : request.subnets) {
    const Subnet& subnet = state.subnets.at(id);
    if (subnet.zone == zone && (!best || subnet.free_addresses() > best->free_addresses())) best = &subnet;
  }
  return best;
}

// Without a free address the task is there and stops, as with AWS: RunTask itself succeeds.
void connect(State& state, TimePoint now, Random& random, const RunTask& request, Task& task) {
  const Subnet* subnet = roomiest_subnet(state, request, task.zone);
  task.attachment_id = random.uuid();
  auto made = make_interface(state, random, {subnet->id, 0, request.security_groups, "task/" + task.id.str(), task.arn, {}});
  task.subnet = subnet->id;
  if (!made) {
    task.stop_wanted = true;
    task.stop_code = "TaskFailedToStart";
    task.stopped_reason = fmt::format(
        "Unexpected EC2 error while attempting to Create Network Interface in subnet '{}': InsufficientFreeAddressesInSubnet",
        subnet->id.str());
    task.stopping = now;
    advance(state, now, task, TaskStatus::stopped);
    return;
  }
  Interface& interface = state.interfaces.at(*made);
  interface.attachment_id = task.attachment_id;
  task.interface = *made;
  task.address = address_text(interface.address);
  task.mac = interface.mac;
}

TaskId start(State& state, TimePoint now, Random& random, const RunTask& request, const std::string& group, const Place& place) {
  const TaskId id(random.hex(32));
  Task& task = state.tasks[id];
  task.id = id;
  task.arn = arn_of(state.settings, "task", request.cluster, id.str());
  task.cluster = request.cluster;
  task.task_definition_arn = request.requirements.task_definition_arn;
  task.requirements = request.requirements;
  task.launch_type = place.instance ? LaunchType::ec2 : LaunchType::fargate;
  task.capacity_provider = place.capacity_provider;
  task.zone = place.zone;
  task.group = group;
  task.started_by = request.started_by;
  task.created = now;
  task.tags = request.tags;
  task.document = request.document;
  for (std::size_t i = 0; i < request.requirements.containers.size(); ++i) {
    const bool essential = i >= request.requirements.essential.size() || request.requirements.essential[i];
    task.containers.push_back(
        {.name = request.requirements.containers[i], .essential = essential, .runtime_id = {}, .exit_code = {}, .reason = {}});
  }
  if (place.instance) {
    task.container_instance = place.instance->id;
    state.tasks_on[place.instance->id].insert(id);
  }
  state.changed(id);
  if (request.requirements.awsvpc) connect(state, now, random, request, task);
  if (task.last != TaskStatus::stopped) state.effects.emplace_back(LaunchTask{id});
  return id;
}

// --- EC2

Result<RunTaskResult> run_on_instances(State& state, TimePoint now, Random& random, const RunTask& request) {
  auto wish = make_wish(state, request);
  if (!wish) return fail(wish.error());
  auto candidates = make_candidates(state, request.cluster);
  if (candidates.empty()) return fail(Code::invalid_argument, "No Container Instances were found in your cluster.");
  RunTaskResult result;
  while (static_cast<int>(result.tasks.size()) < request.count) {
    std::vector<Candidate*> fitting;
    std::vector<Failure> failures;
    for (auto& candidate : candidates) {
      const auto against = objections(*wish, candidate);
      if (against.empty())
        fitting.push_back(&candidate);
      else
        failures.push_back(summary(against));
    }
    if (fitting.empty()) {
      // Those that are left to place are all alike: said once.
      result.failures = std::move(failures);
      break;
    }
    Candidate* chosen = choose(state, random, *wish, std::move(fitting));
    result.tasks.push_back(start(state, now, random, request, wish->group, {chosen->instance, chosen->instance->zone, ""}));
    if (state.tasks.at(result.tasks.back()).last != TaskStatus::stopped) reserve(*chosen, *wish);
  }
  return result;
}

Result<RunTaskResult> start_on_chosen(State& state, TimePoint now, Random& random, const RunTask& request) {
  auto wish = make_wish(state, request);
  if (!wish) return fail(wish.error());
  RunTaskResult result;
  for (const auto& id : request.instances) {
    const ContainerInstance* instance = find(state.container_instances, id);
    if (!instance || instance->cluster != request.cluster) {
      result.failures.push_back({arn_of(state.settings, "container-instance", request.cluster, id.str()), "MISSING", ""});
      continue;
    }
    if (instance->status == "INACTIVE") {
      result.failures.push_back({instance->arn, "INACTIVE", ""});
      continue;
    }
    const auto against = objections(*wish, make_candidate(state, *instance), true);
    if (!against.empty())
      result.failures.push_back(summary(against));
    else
      result.tasks.push_back(start(state, now, random, request, wish->group, {instance, instance->zone, ""}));
  }
  return result;
}

// --- Fargate

// Base first, then by weight: the provider whose share is furthest behind; the first of equals.
std::vector<std::string> share_out(const std::vector<CapacityShare>& capacity, int count) {
  if (capacity.empty()) return std::vector<std::string>(static_cast<std::size_t>(count), "");
  if (capacity.size() == 1) return std::vector<std::string>(static_cast<std::size_t>(count), capacity[0].provider);
  std::vector<std::string> providers;
  for (const auto& share : capacity) {
    for (int i = 0; i < share.base && static_cast<int>(providers.size()) < count; ++i) providers.push_back(share.provider);
  }
  std::vector<long> given(capacity.size(), 0);
  while (static_cast<int>(providers.size()) < count) {
    std::size_t best = capacity.size();
    for (std::size_t i = 0; i < capacity.size(); ++i) {
      if (capacity[i].weight == 0) continue;
      if (best == capacity.size() || (given[i] + 1) * capacity[best].weight < (given[best] + 1) * capacity[i].weight) best = i;
    }
    ++given[best];
    providers.push_back(capacity[best].provider);
  }
  return providers;
}

// The zone of the subnets with fewest Fargate tasks of the group, the one named first among equals; zones without a free
// address only where there is no other.
std::string fargate_zone(const State& state, const RunTask& request, const std::string& group) {
  std::map<std::string, int> tasks;
  for (const auto& [id, task] : state.tasks) {
    if (task.launch_type == LaunchType::fargate && task.cluster == request.cluster && task.group == group && !task.stop_wanted)
      ++tasks[task.zone];
  }
  std::string best;
  std::pair<bool, int> best_key{true, std::numeric_limits<int>::max()};
  for (const auto& id : request.subnets) {
    const std::string& zone = state.subnets.at(id).zone;
    const std::pair key{roomiest_subnet(state, request, zone)->free_addresses() == 0, tasks[zone]};
    if (best.empty() || key < best_key) {
      best = zone;
      best_key = key;
    }
  }
  return best;
}

Result<RunTaskResult> run_on_fargate(State& state, TimePoint now, Random& random, const RunTask& request) {
  if (auto checked = check_fargate(request); !checked) return fail(checked.error());
  if (auto checked = check_capacity(request.capacity); !request.capacity.empty() && !checked) return fail(checked.error());
  RunTaskResult result;
  for (auto& provider : share_out(request.capacity, request.count)) {
    const Place place{nullptr, fargate_zone(state, request, request.group), std::move(provider)};
    result.tasks.push_back(start(state, now, random, request, request.group, place));
  }
  return result;
}

}  // namespace

Result<RunTaskResult> Cluster::run_task(TimePoint now, Random& random, const RunTask& asked) {
  RunTask request = asked;
  if (request.group.empty()) request.group = default_group(request.requirements.task_definition_arn);
  const EcsCluster* cluster = find(state_->clusters, request.cluster);
  if (!cluster || cluster->status != "ACTIVE") return fail(Code::not_found, "Cluster not found.");
  if (auto checked = check_network(*state_, request); !checked) return fail(checked.error());
  if (!request.instances.empty()) return start_on_chosen(*state_, now, random, request);
  if (request.count < 1) return fail(Code::invalid_argument, "count must be at least 1");
  if (request.launch_type == LaunchType::fargate || !request.capacity.empty())
    return run_on_fargate(*state_, now, random, request);
  return run_on_instances(*state_, now, random, request);
}

}  // namespace berth::cluster_sim

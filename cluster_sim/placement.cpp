#include "cluster_sim/placement.hpp"

#include <algorithm>

namespace berth::cluster_sim {
namespace {

int interface_limit(const State& state, const ContainerInstance& instance) {
  const Instance* machine = find(state.instances, instance.ec2_instance);
  const InstanceType* type = machine ? find_instance_type(machine->type) : nullptr;
  if (!type) return 0;
  // A trunk takes the place of the interfaces that tasks would have had one by one.
  if (type->trunked_tasks > 0 && instance.attributes.contains("ecs.awsvpc-trunk-id"))
    return static_cast<int>(type->trunked_tasks);
  return static_cast<int>(type->interfaces) - 1;
}

void take(Cluster::Remaining& left, const TaskRequirements& needs) {
  left.cpu -= needs.cpu;
  left.memory_mib -= needs.memory_mib;
  for (const auto& port : needs.ports) {
    if (port.port != 0) (port.udp ? left.udp_ports : left.ports).insert(port.port);
  }
  if (needs.awsvpc) --left.interfaces;
}

bool has_attribute(const ContainerInstance& instance, const std::string& wanted) {
  const std::size_t sign = wanted.find('=');
  auto found = instance.attributes.find(wanted.substr(0, sign));
  if (found == instance.attributes.end()) return false;
  return sign == std::string::npos || found->second == wanted.substr(sign + 1);
}

// Collects what speaks against one candidate.
struct Objections {
  const Candidate& candidate;
  std::vector<Failure> found;

  void add(std::string_view reason, std::string detail) {
    found.push_back({candidate.instance->arn, std::string(reason), std::move(detail)});
  }

  void resources(const TaskRequirements& needs) {
    const auto& left = candidate.left;
    if (needs.cpu > left.cpu) add("RESOURCE:CPU", fmt::format("needs {} CPU units, {} remain", needs.cpu, left.cpu));
    if (needs.memory_mib > left.memory_mib)
      add("RESOURCE:MEMORY", fmt::format("needs {} MiB, {} remain", needs.memory_mib, left.memory_mib));
    for (const auto& port : needs.ports) {
      if ((port.udp ? left.udp_ports : left.ports).contains(port.port)) {
        add("RESOURCE:PORTS", fmt::format("port {}/{} is taken", port.port, port.udp ? "udp" : "tcp"));
        break;
      }
    }
    if (needs.awsvpc && left.interfaces <= 0) add("RESOURCE:ENI", "no network interface can be attached any more");
  }

  void standing(const Wish& wish) {
    const ContainerInstance& instance = *candidate.instance;
    if (!instance.agent_connected) add("AGENT", "the agent is not connected");
    if (instance.status != "ACTIVE") add("INACTIVE", fmt::format("the container instance is {}", instance.status));
    if (!wish.zones.empty() && !wish.zones.contains(instance.zone)) {
      add("LOCATION", fmt::format("no subnet of the task is in {}", instance.zone));
    } else if (wish.vpc && *wish.vpc != candidate.vpc) {
      add("LOCATION",
          fmt::format("the subnets of the task are in {}, the instance is in {}", wish.vpc->str(), candidate.vpc.str()));
    }
    for (const auto& wanted : wish.request->requirements.attributes) {
      if (has_attribute(instance, wanted)) continue;
      add("ATTRIBUTE", fmt::format("lacks {}", wanted));
      break;
    }
  }

  void constraints(const Wish& wish) {
    if (wish.distinct_instance && candidate.tasks_by_group.contains(wish.group)) {
      add("DistinctInstance placement constraint unsatisfied.", fmt::format("a task of {} is there", wish.group));
    }
    if (wish.member_of.empty()) return;
    const QuerySubject subject = subject_of(candidate);
    if (!std::ranges::all_of(wish.member_of, [&](const Query& query) { return query.matches(subject); })) {
      add("MemberOf placement constraint unsatisfied.", "");
    }
  }
};

Result<> add_constraints(Wish& wish, const std::vector<PlacementConstraint>& constraints) {
  for (const auto& constraint : constraints) {
    if (constraint.kind == PlacementConstraint::Kind::distinct_instance) {
      wish.distinct_instance = true;
      continue;
    }
    auto query = Query::parse(constraint.expression);
    if (!query) return fail(query.error());
    wish.member_of.push_back(std::move(*query));
  }
  return {};
}

constexpr std::string_view kAttribute = "attribute:";

bool spreads_instances(const PlacementStrategy& strategy) { return strategy.field == "instanceId" || strategy.field == "host"; }

Result<> check_strategy(const PlacementStrategy& strategy) {
  using Kind = PlacementStrategy::Kind;
  const bool attribute = strategy.field.starts_with(kAttribute) && strategy.field.size() > kAttribute.size();
  const bool valid = strategy.kind == Kind::random   ? strategy.field.empty()
                     : strategy.kind == Kind::spread ? attribute || spreads_instances(strategy)
                                                     : strategy.field == "cpu" || strategy.field == "memory";
  if (!valid) return fail(Code::invalid_argument, "placement strategy field `{}` is not valid", strategy.field);
  return {};
}

std::string attribute_of(const ContainerInstance& instance, const std::string& name) {
  auto found = instance.attributes.find(name);
  return found == instance.attributes.end() ? std::string() : found->second;
}

// Tasks of the group per value of an attribute, over the whole cluster: also on instances that can't take this task.
std::map<std::string, int> tasks_by_value(const State& state, const Wish& wish, const std::string& attribute) {
  std::map<std::string, int> counts;
  for (const auto& [id, placed] : state.tasks_on) {
    const ContainerInstance* instance = find(state.container_instances, id);
    if (!instance || instance->cluster != wish.request->cluster) continue;
    const auto counted = std::ranges::count_if(placed, [&](const TaskId& task_id) {
      const Task& task = state.tasks.at(task_id);
      return task.group == wish.group && !task.stop_wanted;
    });
    counts[attribute_of(*instance, attribute)] += static_cast<int>(counted);
  }
  return counts;
}

// Keeps those for which `key` is least.
template <class Key>
void keep_least(std::vector<Candidate*>& candidates, Key key) {
  auto least = key(*candidates.front());
  for (Candidate* candidate : candidates) least = std::min(least, key(*candidate));
  std::erase_if(candidates, [&](Candidate* candidate) { return key(*candidate) != least; });
}

void keep_one(Random& random, std::vector<Candidate*>& candidates) { candidates = {candidates[random.below(candidates.size())]}; }

void narrow(const State& state, Random& random, const Wish& wish, const PlacementStrategy& strategy,
            std::vector<Candidate*>& fitting) {
  using Kind = PlacementStrategy::Kind;
  if (strategy.kind == Kind::random) return keep_one(random, fitting);
  if (strategy.kind == Kind::binpack) {
    const bool cpu = strategy.field == "cpu";
    return keep_least(fitting, [&](const Candidate& c) { return cpu ? c.left.cpu : c.left.memory_mib; });
  }
  if (spreads_instances(strategy)) {
    return keep_least(fitting, [&](const Candidate& c) {
      auto found = c.tasks_by_group.find(wish.group);
      return found == c.tasks_by_group.end() ? 0 : found->second;
    });
  }
  const std::string attribute = strategy.field.substr(kAttribute.size());
  const auto counts = tasks_by_value(state, wish, attribute);
  keep_least(fitting, [&](const Candidate& c) {
    auto found = counts.find(attribute_of(*c.instance, attribute));
    return found == counts.end() ? 0 : found->second;
  });
}

}  // namespace

QuerySubject subject_of(const Candidate& candidate) {
  QuerySubject subject{.attributes = &candidate.instance->attributes,
                       .agent_connected = candidate.instance->agent_connected,
                       .agent_version = candidate.instance->agent_version,
                       .ec2_instance = candidate.instance->ec2_instance.str(),
                       .registered = candidate.instance->registered,
                       .running_tasks = candidate.left.running_tasks,
                       .task_groups = {}};
  for (const auto& [group, count] : candidate.tasks_by_group) subject.task_groups.insert(group);
  return subject;
}

Cluster::Remaining remaining_on(const State& state, const ContainerInstance& instance) {
  Cluster::Remaining left{.cpu = instance.cpu,
                          .memory_mib = instance.memory_mib,
                          .ports = instance.ports,
                          .udp_ports = instance.udp_ports,
                          .interfaces = interface_limit(state, instance)};
  auto placed = state.tasks_on.find(instance.id);
  if (placed == state.tasks_on.end()) return left;
  for (const auto& id : placed->second) {
    const Task& task = state.tasks.at(id);
    take(left, task.requirements);
    if (task.last == TaskStatus::running) ++left.running_tasks;
    if (task.last < TaskStatus::running) ++left.pending_tasks;
  }
  return left;
}

Candidate make_candidate(const State& state, const ContainerInstance& instance) {
  Candidate candidate{.instance = &instance, .vpc = {}, .left = remaining_on(state, instance), .tasks_by_group = {}};
  if (const Subnet* subnet = find(state.subnets, instance.subnet)) candidate.vpc = subnet->vpc;
  if (auto placed = state.tasks_on.find(instance.id); placed != state.tasks_on.end()) {
    for (const auto& id : placed->second) ++candidate.tasks_by_group[state.tasks.at(id).group];
  }
  return candidate;
}

std::vector<Candidate> make_candidates(const State& state, const ClusterName& cluster) {
  std::vector<Candidate> candidates;
  for (const auto& [id, instance] : state.container_instances) {
    if (instance.cluster == cluster && instance.status != "INACTIVE") candidates.push_back(make_candidate(state, instance));
  }
  return candidates;
}

Result<Wish> make_wish(const State& state, const RunTask& request) {
  Wish wish;
  wish.request = &request;
  wish.group = request.group;
  if (request.requirements.awsvpc) {
    for (const auto& id : request.subnets) {
      const Subnet& subnet = state.subnets.at(id);
      wish.zones.insert(subnet.zone);
      wish.vpc = subnet.vpc;
    }
  }
  if (auto read = add_constraints(wish, request.constraints); !read) return fail(read.error());
  if (auto read = add_constraints(wish, request.requirements.constraints); !read) return fail(read.error());
  for (const auto& strategy : request.strategy) {
    if (auto checked = check_strategy(strategy); !checked) return fail(checked.error());
  }
  return wish;
}

std::vector<Failure> objections(const Wish& wish, const Candidate& candidate, bool explicitly_chosen) {
  Objections against{candidate, {}};
  against.resources(wish.request->requirements);
  against.standing(wish);
  if (!explicitly_chosen) against.constraints(wish);
  return std::move(against.found);
}

Failure summary(const std::vector<Failure>& objections) {
  Failure first = objections.front();
  for (std::size_t i = 1; i < objections.size(); ++i) {
    const Failure& other = objections[i];
    first.detail += (first.detail.empty() ? "" : "; ") + other.reason + (other.detail.empty() ? "" : ": " + other.detail);
  }
  return first;
}

Candidate* choose(const State& state, Random& random, const Wish& wish, std::vector<Candidate*> fitting) {
  using Kind = PlacementStrategy::Kind;
  static const std::vector<PlacementStrategy> kDefault{{Kind::spread, "attribute:ecs.availability-zone"}, {Kind::random, ""}};
  for (const auto& strategy : wish.request->strategy.empty() ? kDefault : wish.request->strategy) {
    narrow(state, random, wish, strategy, fitting);
  }
  return *std::ranges::min_element(fitting, {}, [](const Candidate* candidate) { return candidate->instance->id; });
}

void reserve(Candidate& candidate, const Wish& wish) {
  take(candidate.left, wish.request->requirements);
  ++candidate.left.pending_tasks;
  ++candidate.tasks_by_group[wish.group];
}

Cluster::Remaining Cluster::remaining(const ContainerInstanceId& id) const {
  const ContainerInstance* instance = find(state_->container_instances, id);
  return instance ? remaining_on(*state_, *instance) : Remaining{};
}

}  // namespace berth::cluster_sim

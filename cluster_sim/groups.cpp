// Auto Scaling groups: as many instances as wanted, evenly over the zones.
//
// Where AWS's rules ask for a price, Berth takes the smaller type (memory, then vCPUs) for the cheaper one.

#include <algorithm>

#include "cluster_sim/instances.hpp"
#include "cluster_sim/interfaces.hpp"

namespace berth::cluster_sim {
namespace {

constexpr std::size_t kActivitiesMax = 100;

std::vector<Instance*> live_instances(State& state, const GroupName& name) {
  std::vector<Instance*> live;
  for (auto& [id, instance] : state.instances) {
    if (instance.group == name && alive(instance)) live.push_back(&instance);
  }
  return live;
}

void note(State& state, TimePoint now, Random& random, AutoScalingGroup& group, std::string description, std::string_view cause,
          std::string status) {
  // A launch that fails for the same reason again and again is said once.
  if (status == "Failed" && !group.activities.empty() && group.activities.back().description == description) {
    group.activities.back().ended = now;
    return;
  }
  group.activities.push_back(
      {random.uuid(), std::move(description), fmt::format("At {} {}.", to_iso8601(now), cause), std::move(status), now, now});
  if (group.activities.size() > kActivitiesMax) group.activities.erase(group.activities.begin());
  state.changed(group.name);
}

const LaunchTemplateData* launch_data(const State& state, const AutoScalingGroup& group) {
  const LaunchTemplate* found = find(state.launch_templates, group.launch_template);
  if (!found) return nullptr;
  int version = found->default_version;
  if (group.launch_template_version == "$Latest")
    version = found->versions.rbegin()->first;
  else if (!group.launch_template_version.empty() && group.launch_template_version != "$Default")
    version = std::atoi(group.launch_template_version.c_str());
  return find(found->versions, version);
}

// --- what to launch

struct Purchase {
  std::string type;
  bool spot = false;
};

std::vector<std::string> cheapest_types(const AutoScalingGroup& group) {
  std::vector<std::string> types = group.instance_types;
  std::ranges::stable_sort(types, {}, [](const std::string& name) {
    const InstanceType* type = find_instance_type(name);
    return type ? std::pair(type->memory_mib, type->vcpus) : std::pair(0U, 0U);
  });
  types.resize(std::min<std::size_t>(types.size(), std::max(1U, group.spot_pools)));
  return types;
}

// Of `total` instances: the base, and its share of the rest, rounded up.
int on_demand_wanted(const AutoScalingGroup& group, int total) {
  const int beyond = std::max(0, total - group.on_demand_base);
  return std::min(total, group.on_demand_base) + (beyond * group.on_demand_percentage + 99) / 100;
}

Purchase next_purchase(const AutoScalingGroup& group, const LaunchTemplateData& data, const std::vector<Instance*>& live,
                       const std::string& zone) {
  if (group.instance_types.empty()) return {data.instance_type, data.spot};
  const auto on_demand = std::ranges::count_if(live, [](const Instance* instance) { return !instance->spot; });
  if (on_demand < on_demand_wanted(group, static_cast<int>(live.size()) + 1)) return {group.instance_types.front(), false};
  const auto pools = cheapest_types(group);
  const auto in_pool = [&](const std::string& type) {
    return std::ranges::count_if(live, [&](const Instance* i) { return i->spot && i->zone == zone && i->type == type; });
  };
  return {*std::ranges::min_element(pools, {}, in_pool), true};
}

// --- where

// The group's zones, those with fewest instances first; equals in the order of its subnets.
std::vector<std::string> zones_to_fill(const State& state, const AutoScalingGroup& group, const std::vector<Instance*>& live) {
  std::vector<std::string> zones;
  for (const auto& id : group.subnets) {
    const Subnet* subnet = find(state.subnets, id);
    if (subnet && std::ranges::find(zones, subnet->zone) == zones.end()) zones.push_back(subnet->zone);
  }
  std::ranges::stable_sort(zones, {}, [&](const std::string& zone) { return std::ranges::count(live, zone, &Instance::zone); });
  return zones;
}

const Subnet* roomiest_subnet(const State& state, const AutoScalingGroup& group, const std::string& zone) {
  const Subnet* best = nullptr;
  for (const auto& id : group.subnets) {
    const Subnet* subnet = find(state.subnets, id);
    if (subnet && subnet->zone == zone && (!best || subnet->free_addresses() > best->free_addresses())) best = subnet;
  }
  return best;
}

// One instance more; false where no zone has room for it.
bool launch_one(State& state, TimePoint now, Random& random, AutoScalingGroup& group, const std::vector<Instance*>& live,
                std::string_view cause) {
  const LaunchTemplateData* data = launch_data(state, group);
  if (!data) {
    note(state, now, random, group,
         "Launching a new EC2 instance. Status Reason: The launch template or its version does not exist.", cause, "Failed");
    return false;
  }
  std::string refused = "no subnet of the group exists";
  for (const auto& zone : zones_to_fill(state, group, live)) {
    const Subnet* subnet = roomiest_subnet(state, group, zone);
    Purchase purchase = next_purchase(group, *data, live, zone);
    InstanceWish wish{*data, subnet->id, group.name, group.protect_new_instances, {}};
    wish.data.instance_type = std::move(purchase.type);
    wish.data.spot = purchase.spot;
    for (const auto& key : group.propagated_tags) {
      if (auto tag = group.tags.find(key); tag != group.tags.end()) wish.tags.insert(*tag);
    }
    wish.tags["aws:autoscaling:groupName"] = group.name.str();
    auto launched = launch(state, now, random, std::move(wish));
    if (launched) {
      note(state, now, random, group, fmt::format("Launching a new EC2 instance: {}", launched->str()), cause, "Successful");
      return true;
    }
    refused =
        launched.error().code == Code::resource_exhausted
            ? fmt::format("There are not enough free addresses in subnet '{}' to satisfy the requested number of instances.",
                          subnet->id.str())
            : launched.error().message;
  }
  note(state, now, random, group,
       fmt::format("Launching a new EC2 instance. Status Reason: {} Launching EC2 instance failed.", refused), cause, "Failed");
  return false;
}

// --- what to end

// From the zone with most instances (first by name among equals), the oldest (lowest id among equals); protected ones stay.
Instance* next_to_end(const std::vector<Instance*>& live) {
  Instance* chosen = nullptr;
  const auto rank = [&](const Instance* i) {
    return std::tuple(-std::ranges::count(live, i->zone, &Instance::zone), i->zone, i->launched, i->id);
  };
  for (Instance* instance : live) {
    if (!instance->protected_from_scale_in && (!chosen || rank(instance) < rank(chosen))) chosen = instance;
  }
  return chosen;
}

std::unexpected<Error> no_group(const GroupName& name) {
  return fail(Code::not_found, "AutoScalingGroup name not found - AutoScalingGroup '{}' not found", name.str());
}

Result<> check_sizes(int min, int max, int desired) {
  if (min < 0 || max < min)
    return fail(Code::invalid_argument, "Max bound, {}, must be greater than or equal to min bound, {}", max, min);
  if (desired < min || desired > max) {
    return fail(Code::invalid_argument, "Desired capacity:{} must be between the specified min size:{} and max size:{}", desired,
                min, max);
  }
  return {};
}

}  // namespace

void reconcile(State& state, TimePoint now, Random& random, AutoScalingGroup& group, std::string_view cause) {
  auto live = live_instances(state, group.name);
  while (static_cast<int>(live.size()) < group.desired && launch_one(state, now, random, group, live, cause))
    live = live_instances(state, group.name);
  while (static_cast<int>(live.size()) > group.desired) {
    Instance* ended = next_to_end(live);
    if (!ended) {
      note(state, now, random, group,
           "Could not scale to desired capacity because all remaining instances are protected from scale-in.", cause, "Failed");
      return;
    }
    terminate(state, now, *ended, "Server.ScheduledStop: ended by its Auto Scaling group");
    note(state, now, random, group, fmt::format("Terminating EC2 instance: {}", ended->id.str()), cause, "Successful");
    live = live_instances(state, group.name);
  }
}

Result<> Cluster::create_group(TimePoint now, Random& random, AutoScalingGroup group) {
  if (state_->groups.contains(group.name)) {
    return fail(Code::already_exists, "AutoScalingGroup by this name already exists - A group with the name {} already exists",
                group.name.str());
  }
  if (auto checked = check_sizes(group.min_size, group.max_size, group.desired); !checked) return fail(checked.error());
  if (!launch_data(*state_, group)) return fail(Code::invalid_argument, "the launch template or its version does not exist");
  for (const auto& id : group.subnets) {
    if (!state_->subnets.contains(id)) return fail(Code::invalid_argument, "The subnet ID '{}' does not exist", id.str());
  }
  if (group.subnets.empty()) return fail(Code::invalid_argument, "At least one Availability Zone or VPC Subnet is required.");
  for (const auto& type : group.instance_types) {
    if (!find_instance_type(type))
      return fail(Code::invalid_argument, "instance type `{}` is not one that Berth simulates", type);
  }
  if (group.arn.empty()) {
    group.arn = fmt::format("arn:aws:autoscaling:{}:{}:autoScalingGroup:{}:autoScalingGroupName/{}", settings().region,
                            settings().account, random.uuid(), group.name.str());
  }
  group.created = now;
  const GroupName name = group.name;
  AutoScalingGroup& made = state_->groups.emplace(name, std::move(group)).first->second;
  state_->changed(name);
  reconcile(*state_, now, random, made,
            fmt::format("a user request created an AutoScalingGroup changing the desired capacity from 0 to {}", made.desired));
  return {};
}

Result<> Cluster::update_group(TimePoint now, Random& random, const GroupName& name, std::optional<int> min,
                               std::optional<int> max, std::optional<int> desired) {
  auto found = state_->groups.find(name);
  if (found == state_->groups.end()) return no_group(name);
  AutoScalingGroup& group = found->second;
  const int new_min = min.value_or(group.min_size), new_max = max.value_or(group.max_size);
  // A bound that moves takes the desired capacity with it; a desired capacity that was asked for must fit.
  const int new_desired = desired ? *desired : std::max(new_min, std::min(new_max, group.desired));
  if (auto checked = check_sizes(new_min, new_max, new_desired); !checked) return fail(checked.error());
  const std::string cause = fmt::format(
      "a user request update of AutoScalingGroup constraints to min: {}, max: {}, desired: {} changing the desired capacity "
      "from {} to {}",
      new_min, new_max, new_desired, group.desired, new_desired);
  group.min_size = new_min;
  group.max_size = new_max;
  group.desired = new_desired;
  state_->changed(name);
  reconcile(*state_, now, random, group, cause);
  return {};
}

void Cluster::reconcile_group(TimePoint now, Random& random, const GroupName& name) {
  if (auto found = state_->groups.find(name); found != state_->groups.end()) {
    reconcile(*state_, now, random, found->second, "the group was compared with its desired capacity");
  }
}

Result<> Cluster::terminate_in_group(TimePoint now, Random& random, const InstanceId& id, bool decrement_desired) {
  auto found = state_->instances.find(id);
  AutoScalingGroup* group = found == state_->instances.end() || !alive(found->second) ? nullptr : edit(found->second.group);
  if (!group) return fail(Code::not_found, "Instance Id not found - No managed instance found for instance ID: {}", id.str());
  if (decrement_desired && group->desired <= group->min_size) {
    return fail(
        Code::invalid_argument,
        "Currently, desiredSize equals minSize ({}). Terminating instance without replacement will violate group's min size "
        "constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size.",
        group->min_size);
  }
  if (decrement_desired) --group->desired;
  terminate(*state_, now, found->second, "Client.UserInitiatedShutdown: User initiated shutdown");
  note(*state_, now, random, *group, fmt::format("Terminating EC2 instance: {}", id.str()),
       "an instance was taken out of service by a user request", "Successful");
  reconcile(*state_, now, random, *group, "an instance was terminated by a user request");
  return {};
}

Result<> Cluster::delete_group(TimePoint now, Random&, const GroupName& name, bool force) {
  auto found = state_->groups.find(name);
  if (found == state_->groups.end()) return no_group(name);
  const auto live = live_instances(*state_, name);
  if (!live.empty() && !force) {
    return fail(Code::failed_precondition,
                "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in "
                "the group.");
  }
  state_->groups.erase(found);
  state_->changed(name);
  for (Instance* instance : live)
    terminate(*state_, now, *instance, "Client.UserInitiatedShutdown: its Auto Scaling group was deleted");
  return {};
}

}  // namespace berth::cluster_sim

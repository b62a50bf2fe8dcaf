// The cluster under random commands: the invariants of scheduling hold after each, placement agrees with a brute-force oracle,
// the records come back from their stored form, and the same seed gives the same history.
//
// 200 seeds; BERTH_SIM_SEEDS=N for more, BERTH_SIM_FIRST_SEED=S to begin elsewhere (a failure prints its seed).

#include <algorithm>
#include <cstdlib>

#include <gtest/gtest.h>

#include "broker/control/cluster_codec.hpp"
#include "cluster_sim/images.hpp"
#include "tests/sim/oracle.hpp"

namespace berth::cluster_sim {
namespace {

constexpr int kCommandsPerSeed = 120;

std::uint64_t number_from_environment(const char* name, std::uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value ? std::strtoull(value, nullptr, 10) : otherwise;
}

class World {
 public:
  explicit World(std::uint64_t seed) : random_(seed), ids_(seed ^ 0x5eed) {
    const VpcId vpc = cluster_.create_vpc(ids_, *parse_cidr("10.0.0.0/16"), {}).value();
    // One of them is small: addresses run out.
    subnets_.push_back(cluster_.create_subnet(ids_, vpc, "us-east-1a", *parse_cidr("10.0.1.0/28"), {}).value());
    subnets_.push_back(cluster_.create_subnet(ids_, vpc, "us-east-1b", *parse_cidr("10.0.2.0/24"), {}).value());
    ecs_ = cluster_.create_cluster("sim", "{}", {}).value();
    const LaunchTemplateData data{.image_id = std::string(kEcsOptimizedImageId), .instance_type = "m5.large"};
    AutoScalingGroup group;
    group.name = GroupName("group");
    group.launch_template = cluster_.create_launch_template(now_, ids_, "template", data, {}).value();
    group.instance_types = {"m5.large", "t2.medium", "m5.xlarge"};
    group.on_demand_base = 1;
    group.on_demand_percentage = 0;
    group.spot_pools = 2;
    group.subnets = subnets_;
    group.max_size = 10;
    group.desired = 4;
    EXPECT_TRUE(cluster_.create_group(now_, ids_, group));
  }

  void step() {
    now_ += std::chrono::milliseconds(pick(5000));
    switch (pick(12)) {
      case 0:
      case 1:
      case 2: run_task(); break;
      case 3:
      case 4:
      case 5:
      case 6: report(); break;
      case 7: stop_task(); break;
      case 8: static_cast<void>(cluster_.update_group(now_, ids_, GroupName("group"), {}, {}, static_cast<int>(pick(11)))); break;
      case 9: trouble(); break;
      case 10: register_running(); break;
      default: cluster_.expire(now_); break;
    }
    carry_out_effects();
    check();
  }

  // All that was ever written, as a store would hold it.
  const std::map<Change, std::string>& stored() const { return stored_; }
  const Cluster& cluster() const { return cluster_; }
  int placed = 0, refused = 0;

 private:
  std::uint64_t pick(std::uint64_t bound) { return random_.below(bound); }
  bool chance(std::uint64_t one_in) { return pick(one_in) == 0; }

  template <class Table>
  const typename Table::mapped_type* any(const Table& table) {
    if (table.empty()) return nullptr;
    auto found = table.begin();
    std::advance(found, static_cast<std::ptrdiff_t>(pick(table.size())));
    return &found->second;
  }

  RunTask random_request() {
    RunTask wanted;
    wanted.cluster = ecs_;
    wanted.count = 1 + static_cast<int>(pick(4));
    TaskRequirements& needs = wanted.requirements;
    needs.task_definition_arn = "arn:aws:ecs:us-east-1:123456789012:task-definition/f:1";
    needs.containers = {"a", "b"};
    needs.essential = {true, chance(2)};
    needs.cpu = 256 << pick(3);
    needs.memory_mib = 1024 * (1 + static_cast<int>(pick(2)));
    wanted.group = "group:" + std::to_string(pick(3));
    needs.awsvpc = chance(2);
    if (needs.awsvpc) wanted.subnets = chance(3) ? std::vector{subnets_[pick(2)]} : subnets_;
    if (chance(4)) needs.ports.push_back({static_cast<int>(80 + pick(3)), chance(2)});
    if (chance(4)) wanted.constraints.push_back({PlacementConstraint::Kind::distinct_instance, ""});
    if (chance(5))
      wanted.constraints.push_back({PlacementConstraint::Kind::member_of, "attribute:ecs.instance-type == m5.large"});
    using Kind = PlacementStrategy::Kind;
    if (chance(2)) wanted.strategy.push_back({Kind::spread, "attribute:ecs.availability-zone"});
    if (chance(3)) wanted.strategy.push_back({Kind::spread, "instanceId"});
    if (chance(2)) wanted.strategy.push_back({Kind::binpack, chance(2) ? "cpu" : "memory"});
    if (chance(4)) wanted.strategy.push_back({Kind::random, ""});
    return wanted;
  }

  // Who could take one task, before any is placed.
  std::set<ContainerInstanceId> fitting(const RunTask& wanted) const {
    std::set<ContainerInstanceId> ids;
    for (const auto& [id, instance] : cluster_.container_instances()) {
      if (oracle_fits(cluster_, wanted, instance)) ids.insert(id);
    }
    return ids;
  }

  void run_task() {
    RunTask wanted = random_request();
    if (chance(3)) return run_on_fargate(std::move(wanted));
    const auto before = fitting(wanted);
    std::map<ContainerInstanceId, int> cpu_left;
    for (const auto& id : before) cpu_left[id] = cluster_.remaining(id).cpu;
    const auto result = cluster_.run_task(now_, ids_, wanted);
    if (!result) {
      EXPECT_EQ(result.error().message, "No Container Instances were found in your cluster.");
      return;
    }
    placed += static_cast<int>(result->tasks.size());
    refused += static_cast<int>(result->failures.size());
    if (!result->tasks.empty()) {
      const ContainerInstanceId first = *cluster_.tasks().at(result->tasks[0]).container_instance;
      EXPECT_TRUE(before.contains(first)) << "placed where the oracle sees no room";
      if (!wanted.strategy.empty() && wanted.strategy[0].kind == PlacementStrategy::Kind::binpack &&
          wanted.strategy[0].field == "cpu") {
        for (const auto& [id, left] : cpu_left) EXPECT_LE(cpu_left.at(first), left);
      }
    }
    EXPECT_EQ(result->tasks.empty(), before.empty());
    // I13: who is left over has a reason, and the oracle agrees that nobody could have taken one more.
    if (static_cast<int>(result->tasks.size()) < wanted.count) {
      EXPECT_TRUE(fitting(wanted).empty()) << "refused although there is room";
      const auto listed = std::ranges::count_if(cluster_.container_instances(),
                                                [](const auto& item) { return item.second.status != "INACTIVE"; });
      EXPECT_EQ(static_cast<std::ptrdiff_t>(result->failures.size()), listed);
      for (const auto& failure : result->failures) EXPECT_FALSE(failure.reason.empty());
    }
  }

  void run_on_fargate(RunTask wanted) {
    wanted.launch_type = LaunchType::fargate;
    wanted.constraints.clear();
    wanted.strategy.clear();
    wanted.requirements.awsvpc = true;
    wanted.requirements.cpu = 512;
    if (wanted.subnets.empty()) wanted.subnets = subnets_;
    const auto result = cluster_.run_task(now_, ids_, wanted);
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(static_cast<int>(result->tasks.size()), wanted.count);
  }

  // Reports of a runtime that may be late, doubled or out of order.
  void report() {
    const Task* task = any(cluster_.tasks());
    if (!task) return;
    const std::string container = chance(2) ? "a" : "b";
    const std::vector<TaskEvent> events{PullStarted{},
                                        PullStopped{},
                                        ContainerStarted{container, "r"},
                                        TaskRunning{},
                                        TaskRunning{},
                                        ContainerExited{container, 1, ""},
                                        TaskFailedToStart{"why", container},
                                        TaskGone{},
                                        HealthChanged{container, "HEALTHY"}};
    cluster_.task_event(now_, TaskId(task->id), events[pick(events.size())]);
  }

  void stop_task() {
    if (const Task* task = any(cluster_.tasks())) {
      EXPECT_TRUE(cluster_.stop_task(now_, TaskId(task->id), "UserInitiated", "sim"));
    }
  }

  void trouble() {
    if (const ContainerInstance* instance = any(cluster_.container_instances())) {
      const ContainerInstanceId id = instance->id;
      switch (pick(4)) {
        case 0: cluster_.set_agent_connected(id, false); break;
        case 1: cluster_.set_agent_connected(id, true); break;
        case 2: static_cast<void>(cluster_.set_container_instance_status(now_, id, chance(2))); break;
        default: static_cast<void>(cluster_.deregister_container_instance(now_, id, chance(2))); break;
      }
    }
    if (const Instance* instance = any(cluster_.instances()); instance && chance(3)) {
      EXPECT_TRUE(cluster_.terminate_instance(now_, ids_, InstanceId(instance->id)));
    }
  }

  void register_running() {
    for (const auto& [id, instance] : cluster_.instances()) {
      if (instance.state != "running") continue;
      const InstanceType& type = *find_instance_type(instance.type);
      EXPECT_TRUE(cluster_.register_container_instance(now_, ids_,
                                                       {.cluster = ecs_,
                                                        .instance = id,
                                                        .cpu = static_cast<int>(type.vcpus) * 1024,
                                                        .memory_mib = static_cast<int>(type.memory_mib)}));
    }
  }

  void carry_out_effects() {
    for (const auto& effect : cluster_.take_effects()) {
      if (const auto* boot = std::get_if<BootInstance>(&effect)) cluster_.instance_running(now_, boot->instance, "up\n");
      // Some end later, by a report that comes after other commands.
      if (const auto* end = std::get_if<TerminateInstance>(&effect)) ending_.insert(end->instance);
      if (const auto* launch = std::get_if<LaunchTask>(&effect)) {
        EXPECT_TRUE(cluster_.tasks().contains(launch->task));
      }
    }
    for (auto at = ending_.begin(); at != ending_.end();) {
      if (chance(2)) {
        ++at;
        continue;
      }
      cluster_.instance_terminated(now_, ids_, *at);
      at = ending_.erase(at);
    }
    for (const auto& change : cluster_.take_changes()) {
      auto text = control::encode(cluster_, change);
      if (text)
        stored_[change] = std::move(*text);
      else
        stored_.erase(change);
    }
  }

  void check() {
    for (const auto& [id, instance] : cluster_.container_instances()) check_instance(instance);
    check_addresses();
    for (const auto& [id, task] : cluster_.tasks()) check_task(task);
    const AutoScalingGroup& group = cluster_.groups().at(GroupName("group"));
    const auto live = std::ranges::count_if(cluster_.instances(), [](const auto& item) { return alive(item.second); });
    EXPECT_LE(live, group.max_size);
  }

  // I1 and I2: not over-committed; what remains is what was registered less what tasks hold.
  void check_instance(const ContainerInstance& instance) {
    const Used used = used_on(cluster_, instance.id);
    const auto left = cluster_.remaining(instance.id);
    EXPECT_EQ(left.cpu, instance.cpu - used.cpu);
    EXPECT_EQ(left.memory_mib, instance.memory_mib - used.memory);
    EXPECT_GE(left.cpu, 0);
    EXPECT_GE(left.memory_mib, 0);
    // A machine that is over and forgotten has no type any more to count by.
    if (cluster_.instances().contains(instance.ec2_instance)) {
      EXPECT_GE(left.interfaces, 0);
    }
    for (const auto* ports : {&used.tcp, &used.udp}) {
      for (int port : *ports) EXPECT_EQ(ports->count(port), 1u) << "port " << port << " twice";
    }
  }

  // I3: each address once, in its subnet, and the count of the free ones is exact.
  void check_addresses() {
    std::map<SubnetId, std::set<std::uint32_t>> seen;
    for (const auto& [id, interface] : cluster_.interfaces()) {
      EXPECT_TRUE(cluster_.subnets().at(interface.subnet).block.contains(interface.address));
      EXPECT_TRUE(seen[interface.subnet].insert(interface.address).second) << "address twice";
    }
    for (const auto& [id, subnet] : cluster_.subnets()) {
      EXPECT_EQ(subnet.used, seen[id]);
      EXPECT_EQ(subnet.free_addresses(), (1u << (32 - subnet.block.prefix_length)) - 5 - seen[id].size());
    }
  }

  // I4: statuses only move forward, versions grow, STOPPED is final. Interfaces live as long as their tasks, in their zone.
  void check_task(const Task& task) {
    auto [before, fresh] = history_.try_emplace(task.id, task.last, task.version);
    if (!fresh) {
      EXPECT_GE(task.last, before->second.first);
      EXPECT_GE(task.version, before->second.second);
      if (task.last != before->second.first) {
        EXPECT_GT(task.version, before->second.second);
      }
      if (before->second.first == TaskStatus::stopped) {
        EXPECT_EQ(task.version, before->second.second);
      }
      before->second = {task.last, task.version};
    }
    EXPECT_EQ(task.last == TaskStatus::stopped, task.stopped.has_value());
    if (task.last > TaskStatus::running) {
      EXPECT_TRUE(task.stop_wanted && !task.stop_code.empty());
    }
    if (!task.interface) return;
    auto interface = cluster_.interfaces().find(*task.interface);
    EXPECT_EQ(interface != cluster_.interfaces().end(), task.last != TaskStatus::stopped);
    if (interface != cluster_.interfaces().end()) {
      EXPECT_EQ(cluster_.subnets().at(interface->second.subnet).zone, task.zone);
    }
  }

  // Two streams: what is tried and what ids are drawn do not move each other.
  SeededRandom random_, ids_;
  TimePoint now_ = *parse_time("2026-11-23T05:00:00Z");
  Cluster cluster_{Settings{.account = "123456789012", .stopped_task_retention = std::chrono::seconds(60)}};
  ClusterName ecs_;
  std::vector<SubnetId> subnets_;
  std::set<InstanceId> ending_;
  std::map<TaskId, std::pair<TaskStatus, unsigned>> history_;
  std::map<Change, std::string> stored_;
};

// What a daemon that starts again reads is what there was, reservations and addresses among it.
void check_restored(const World& world) {
  Cluster again{world.cluster().settings()};
  for (const auto& [change, text] : world.stored()) ASSERT_TRUE(control::restore(again, change.kind, change.key, text));
  for (const auto& [change, text] : world.stored()) EXPECT_EQ(control::encode(again, change), text);
  EXPECT_EQ(again.tasks().size(), world.cluster().tasks().size());
  for (const auto& [id, instance] : world.cluster().container_instances()) {
    EXPECT_EQ(again.remaining(id).cpu, world.cluster().remaining(id).cpu);
    EXPECT_EQ(again.remaining(id).interfaces, world.cluster().remaining(id).interfaces);
  }
  for (const auto& [id, subnet] : world.cluster().subnets()) EXPECT_EQ(again.subnets().at(id).used, subnet.used);
}

TEST(ClusterSimulation, InvariantsHoldUnderRandomCommands) {
  const std::uint64_t first = number_from_environment("BERTH_SIM_FIRST_SEED", 1),
                      seeds = number_from_environment("BERTH_SIM_SEEDS", 200);
  int placed = 0, refused = 0;
  for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
    World world(seed);
    for (int command = 0; command < kCommandsPerSeed && !::testing::Test::HasFailure(); ++command) {
      SCOPED_TRACE("seed " + std::to_string(seed) + ", command " + std::to_string(command));
      world.step();
    }
    check_restored(world);
    if (::testing::Test::HasFailure()) FAIL() << "BERTH_SIM_FIRST_SEED=" << seed << " BERTH_SIM_SEEDS=1 shows it again";
    placed += world.placed;
    refused += world.refused;
  }
  // Sometimes: a run that places nothing, or refuses nothing, has tried nothing.
  EXPECT_GT(placed, 0);
  EXPECT_GT(refused, 0);
}

TEST(ClusterSimulation, TheSameSeedGivesTheSameHistory) {
  World first(42), second(42);
  for (int command = 0; command < kCommandsPerSeed; ++command) {
    first.step();
    second.step();
    ASSERT_EQ(first.stored(), second.stored()) << "command " << command;
  }
}

}  // namespace
}  // namespace berth::cluster_sim

#include "broker/daemon/status.hpp"

#include <algorithm>
#include <ranges>

#include <nlohmann/json.hpp>

namespace berth::daemon {

using Json = nlohmann::json;
using namespace cluster_sim;

namespace {

std::string after_slash(const std::string& text) { return text.substr(text.rfind('/') + 1); }

// `up`, or what was done to it.
std::string zone_state(const fuse::zones::Network& network, const std::string& zone) {
  using fuse::zones::Fault;
  const auto found = network.faults().find(zone);
  if (found == network.faults().end()) return "up";
  std::string state = found->second.kind == Fault::Kind::isolated ? "isolated" : "lost";
  if (found->second.clients == Fault::Clients::fail) state += ", soft";
  if (found->second.clients == Fault::Clients::read_only) state += ", read-only";
  return state;
}

Json latencies_from(const fuse::zones::Network& network, const std::string& zone) {
  Json latencies = Json::object();
  for (const std::string& other : network.zones()) {
    if (const auto latency = network.latency(zone, other); latency.count() > 0) {
      latencies[other] = static_cast<double>(latency.count()) / 1000;
    }
  }
  return latencies;
}

Json zones(const Cluster& cluster, const fuse::zones::Network& network) {
  Json list = Json::array();
  for (const std::string& zone : cluster.settings().zones) {
    std::string subnet;
    for (const auto& [id, record] : cluster.subnets()) {
      const auto vpc = cluster.vpcs().find(record.vpc);
      if (record.zone == zone && vpc != cluster.vpcs().end() && vpc->second.is_default) subnet = id.str();
    }
    list.push_back({{"name", zone},
                    {"default_subnet", subnet},
                    {"state", zone_state(network, zone)},
                    {"latency_ms", latencies_from(network, zone)}});
  }
  return list;
}

Json clusters(const Cluster& cluster) {
  Json list = Json::array();
  for (const auto& [name, record] : cluster.clusters()) {
    if (record.status != "ACTIVE") continue;
    int instances = 0, running = 0, pending = 0;
    for (const auto& [id, instance] : cluster.container_instances()) {
      instances += instance.cluster == name && instance.status != "INACTIVE";
    }
    for (const auto& [id, task] : cluster.tasks()) {
      if (task.cluster != name) continue;
      running += task.last == TaskStatus::running;
      pending += task.last < TaskStatus::running;
    }
    list.push_back({{"name", name.str()}, {"container_instances", instances}, {"running", running}, {"pending", pending}});
  }
  return list;
}

Json container_instances(const Cluster& cluster) {
  Json list = Json::array();
  for (const auto& [id, record] : cluster.container_instances()) {
    if (record.status == "INACTIVE") continue;
    const Cluster::Remaining free = cluster.remaining(id);
    const auto instance = cluster.instances().find(record.ec2_instance);
    list.push_back({{"id", id.str()},
                    {"ec2_instance", record.ec2_instance.str()},
                    {"type", instance == cluster.instances().end() ? "" : instance->second.type},
                    {"zone", record.zone},
                    {"cluster", record.cluster.str()},
                    {"status", record.status},
                    {"agent_connected", record.agent_connected},
                    {"cpu", record.cpu},
                    {"memory", record.memory_mib},
                    {"cpu_free", free.cpu},
                    {"memory_free", free.memory_mib},
                    {"tasks", free.running_tasks + free.pending_tasks}});
  }
  return list;
}

Json instances_without_agent(const Cluster& cluster) {
  Json list = Json::array();
  for (const auto& [id, instance] : cluster.instances()) {
    const bool has_agent = std::ranges::any_of(cluster.container_instances(), [&](const auto& entry) {
      return entry.second.ec2_instance == id && entry.second.status != "INACTIVE";
    });
    if (has_agent || instance.state == "terminated") continue;
    // The agent's last word on the console says why it is not there.
    std::string why = instance.console;
    while (!why.empty() && why.back() == '\n') why.pop_back();
    why = why.substr(why.rfind('\n') == std::string::npos ? 0 : why.rfind('\n') + 1);
    list.push_back({{"id", id.str()}, {"type", instance.type}, {"zone", instance.zone}, {"state", instance.state}, {"why", why}});
  }
  return list;
}

Json task_object(const Cluster& cluster, const Task& task) {
  std::string address;
  if (task.interface) {
    const auto found = cluster.interfaces().find(*task.interface);
    if (found != cluster.interfaces().end()) address = address_text(found->second.address);
  }
  std::string capacity = task.capacity_provider.empty() ? "FARGATE" : task.capacity_provider;
  if (task.container_instance) {
    const auto found = cluster.container_instances().find(*task.container_instance);
    if (found != cluster.container_instances().end()) capacity = found->second.ec2_instance.str();
  }
  Json containers = Json::array();
  for (const ContainerState& container : task.containers) {
    Json object{{"name", container.name}, {"status", container.last_status}};
    if (container.exit_code) object["exit_code"] = *container.exit_code;
    if (!container.reason.empty()) object["reason"] = container.reason;
    containers.push_back(std::move(object));
  }
  return {{"id", task.id.str()},
          {"arn", task.arn},
          {"cluster", task.cluster.str()},
          {"definition", after_slash(task.task_definition_arn)},
          {"status", to_string(task.last)},
          {"zone", task.zone},
          {"capacity", capacity},
          {"address", address},
          {"stop_code", task.stop_code},
          {"stopped_reason", task.stopped_reason},
          {"created_at", to_iso8601(task.created)},
          {"containers", containers}};
}

Json tasks(const Cluster& cluster) {
  std::vector<const Task*> newest_first;
  for (const auto& [id, task] : cluster.tasks()) newest_first.push_back(&task);
  std::ranges::sort(newest_first, std::greater{}, [](const Task* task) { return std::pair{task->created, task->id.str()}; });
  Json list = Json::array();
  for (const Task* task : newest_first) list.push_back(task_object(cluster, *task));
  return list;
}

Json file_systems(const control::Control& c) {
  Json list = Json::array();
  for (const auto& [id, record] : c.catalog.file_systems()) {
    list.push_back(Json{{"id", id.str()},
                        {"state", fuse::to_string(record.life_cycle)},
                        {"mount_targets", c.catalog.mount_targets_of(id).size()},
                        {"access_points", c.catalog.access_points_of(id).size()},
                        {"policy", record.policy.has_value()}});
  }
  return list;
}

Json mounts_of(const std::vector<fuse::Share::MountStats>& mounts) {
  Json list = Json::array();
  for (const auto& mount : mounts) {
    list.push_back(Json{{"id", mount.id.str()},
                        {"operations", mount.operations},
                        {"known_inodes", mount.known_inodes},
                        {"passthrough", mount.passthrough},
                        {"file_system", mount.file_system},
                        {"zone", mount.ends.client},
                        {"waiting", mount.way.parked}});
  }
  return list;
}

}  // namespace

Json status_of(const control::Control& c, const std::vector<fuse::Share::MountStats>& mounts,
               const fuse::zones::Network& network) {
  return {{"zones", zones(c.cluster, network)},
          {"clusters", clusters(c.cluster)},
          {"container_instances", container_instances(c.cluster)},
          {"instances_without_agent", instances_without_agent(c.cluster)},
          {"tasks", tasks(c.cluster)},
          {"file_systems", file_systems(c)},
          {"mounts", mounts_of(mounts)}};
}

}  // namespace berth::daemon

#include "broker/services/ecs/container_instance_json.hpp"

#include <charconv>

#include <nlohmann/json.hpp>

#include "broker/control/control_plane.hpp"
#include "broker/services/ecs/definition.hpp"
#include "broker/services/ecs/errors.hpp"
#include "broker/services/ecs/tag_list.hpp"

namespace berth::services::ecs {

using api::Json;
using cluster_sim::ContainerInstance;

namespace {

Json number(const char* name, int value) {
  return {{"name", name}, {"type", "INTEGER"}, {"doubleValue", 0.0}, {"longValue", 0}, {"integerValue", value}};
}

Json ports(const char* name, const std::set<int>& values) {
  auto list = Json::array();
  for (const auto port : values) list.push_back(std::to_string(port));
  return {{"name", name},   {"type", "STRINGSET"}, {"doubleValue", 0.0},
          {"longValue", 0}, {"integerValue", 0},   {"stringSetValue", std::move(list)}};
}

Json resources(int cpu, int memory, const std::set<int>& tcp, const std::set<int>& udp) {
  return Json::array({number("CPU", cpu), number("MEMORY", memory), ports("PORTS", tcp), ports("PORTS_UDP", udp)});
}

api::Outcome<std::set<int>> read_ports(const Json& list) {
  std::set<int> result;
  for (const auto& item : list) {
    const auto text = item.get<std::string>();
    int port = 0;
    const auto* end = text.data() + text.size();
    if (const auto read = std::from_chars(text.data(), end, port);
        read.ec != std::errc() || read.ptr != end || port < 0 || port > 65535)
      return invalid("Invalid port `{}` in totalResources.", text);
    result.insert(port);
  }
  return result;
}

}  // namespace

Json describe(const control::Control& c, const ContainerInstance& instance, const Shown& shown) {
  const auto remaining = c.cluster.remaining(instance.id);
  auto attributes = Json::array();
  for (const auto& [name, value] : instance.attributes) {
    Json attribute{{"name", name}};
    if (!value.empty()) attribute["value"] = value;
    attributes.push_back(std::move(attribute));
  }
  Json json{{"containerInstanceArn", instance.arn},
            {"ec2InstanceId", instance.ec2_instance.str()},
            {"version", instance.version},
            {"versionInfo", instance.version_info.empty() ? Json::object() : Json::parse(instance.version_info)},
            {"registeredResources", resources(instance.cpu, instance.memory_mib, instance.ports, instance.udp_ports)},
            {"remainingResources", resources(remaining.cpu, remaining.memory_mib, remaining.ports, remaining.udp_ports)},
            {"status", instance.status},
            {"agentConnected", instance.agent_connected},
            {"runningTasksCount", remaining.running_tasks},
            {"pendingTasksCount", remaining.pending_tasks},
            {"attributes", std::move(attributes)},
            {"registeredAt", to_epoch_seconds(instance.registered)},
            {"attachments", Json::array()},
            {"tags", shown.tags ? write_tags(instance.tags) : Json::array()}};
  if (!instance.status_reason.empty()) json["statusReason"] = instance.status_reason;
  // Berth's containers run under the daemon itself: while the agent is connected, the runtime works.
  if (shown.health)
    json["healthStatus"] = {{"overallStatus", instance.agent_connected ? "OK" : "INSUFFICIENT_DATA"}, {"details", Json::array()}};
  return json;
}

api::Outcome<Resources> read_resources(const Json& list) {
  Resources result;
  for (const auto& resource : list) {
    const auto name = text_of(resource, "name");
    if (name == "CPU") result.cpu = resource.value("integerValue", 0);
    if (name == "MEMORY") result.memory_mib = resource.value("integerValue", 0);
    if (name != "PORTS" && name != "PORTS_UDP") continue;
    auto taken = read_ports(list_of(resource, "stringSetValue"));
    if (!taken) return refused(taken);
    (name == "PORTS" ? result.ports : result.udp_ports) = std::move(*taken);
  }
  if (result.cpu < 1 || result.memory_mib < 1)
    return invalid("totalResources must name CPU and MEMORY with values greater than 0.");
  return result;
}

std::map<std::string, std::string> read_attributes(const Json& list) {
  std::map<std::string, std::string> result;
  for (const auto& attribute : list) result[text_of(attribute, "name")] = text_of(attribute, "value");
  return result;
}

}  // namespace berth::services::ecs

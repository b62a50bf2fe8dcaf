// Checks of container definitions.
#include <algorithm>
#include <map>
#include <set>

#include <nlohmann/json.hpp>

#include "broker/services/ecs/definition.hpp"
#include "broker/services/ecs/errors.hpp"
#include "broker/services/ecs/names.hpp"

namespace berth::services::ecs {

using api::Json;
using api::Outcome;

namespace {

constexpr int kMemoryMin = 6;  // MiB: less is not enough for the container's first process
constexpr std::size_t kContainersMax = 10;

Outcome<void> check_name_and_image(const Json& container) {
  if (!is_name(text_of(container, "name"))) return client_error("Container.name contains invalid characters.");
  if (text_of(container, "image").empty()) return client_error("Container.image should not be null or empty.");
  return {};
}

Outcome<void> check_resources(const Json& container, bool sized_task) {
  const auto name = text_of(container, "name");
  const auto memory = container.find("memory"), reservation = container.find("memoryReservation");
  if (!sized_task && memory == container.end() && reservation == container.end())
    return client_error("Invalid setting for container '{}'. At least one of 'memory' or 'memoryReservation' must be specified.",
                        name);
  for (const auto& value : {memory, reservation}) {
    if (value != container.end() && value->get<int>() < kMemoryMin)
      return client_error("Invalid setting for container '{}'. Memory must be at least {} MiB.", name, kMemoryMin);
  }
  if (memory != container.end() && reservation != container.end() && memory->get<int>() < reservation->get<int>())
    return client_error(
        "Invalid setting for container '{}'. The 'memory' value must be greater than the 'memoryReservation' value.", name);
  if (container.value("cpu", 0) < 0) return client_error("Invalid setting for container '{}'. 'cpu' must not be negative.", name);
  return {};
}

Outcome<void> check_ports(const Json& container, bool awsvpc) {
  const auto name = text_of(container, "name");
  std::set<std::pair<int, std::string>> taken;
  for (const auto& mapping : list_of(container, "portMappings")) {
    const bool range = mapping.contains("containerPortRange");
    if (range == mapping.contains("containerPort"))
      return client_error("Invalid port mapping of container '{}': give either containerPort or containerPortRange.", name);
    if (range) continue;
    const auto port = mapping.at("containerPort").get<int>();
    const auto host = mapping.value("hostPort", 0);
    if (port < 1 || port > 65535) return client_error("Invalid containerPort {} of container '{}'.", port, name);
    if (host < 0 || host > 65535) return client_error("Invalid hostPort {} of container '{}'.", host, name);
    if (awsvpc && host != port)
      return client_error("When networkMode=awsvpc, the host ports and container ports in port mappings must match.");
    if (host != 0 && !taken.emplace(host, text_of(mapping, "protocol")).second)
      return client_error("Container '{}' maps host port {} twice.", name, host);
  }
  return {};
}

Outcome<void> check_health(const Json& container) {
  const auto health = container.find("healthCheck");
  if (health == container.end()) return {};
  const auto& command = list_of(*health, "command");
  const auto first = command.empty() ? std::string() : command.front().get<std::string>();
  if (first != "CMD" && first != "CMD-SHELL" && first != "NONE")
    return client_error("Invalid health check of container '{}': the command must begin with CMD or CMD-SHELL.",
                        text_of(container, "name"));
  struct Range {
    const char* member;
    int low, high;
  };
  for (const auto& [member, low, high] :
       {Range{"interval", 5, 300}, Range{"timeout", 2, 120}, Range{"retries", 1, 10}, Range{"startPeriod", 0, 300}}) {
    const auto value = health->find(member);
    if (value != health->end() && (value->get<int>() < low || value->get<int>() > high))
      return client_error("Invalid health check of container '{}': {} must be between {} and {}.", text_of(container, "name"),
                          member, low, high);
  }
  return {};
}

Outcome<void> check_network_members(const Json& container, const std::string& mode) {
  if (mode != "awsvpc" && mode != "host") return {};
  if (!list_of(container, "links").empty()) return client_error("Links are not supported when networkMode={}.", mode);
  if (!text_of(container, "hostname").empty())
    return client_error("The hostname is not supported on container when networkMode={}.", mode);
  return {};
}

Outcome<void> check_limits(const Json& container) {
  const auto name = text_of(container, "name");
  for (const auto& limit : list_of(container, "ulimits")) {
    if (limit.at("softLimit").get<int>() > limit.at("hardLimit").get<int>())
      return client_error("Invalid ulimit {} of container '{}': softLimit is greater than hardLimit.", text_of(limit, "name"),
                          name);
  }
  for (const auto* timeout : {"startTimeout", "stopTimeout"}) {
    if (container.value(timeout, 0) < 0) return client_error("Invalid {} of container '{}'.", timeout, name);
  }
  std::set<std::string> secrets;
  for (const auto& secret : list_of(container, "secrets")) secrets.insert(text_of(secret, "name"));
  for (const auto& variable : list_of(container, "environment")) {
    if (text_of(variable, "name").empty())
      return client_error("Container '{}' has an environment variable without a name.", name);
    if (secrets.contains(text_of(variable, "name")))
      return client_error(
          "The secret name must be unique and not shared with any new or existing environment variables set on the container, "
          "such as '{}'.",
          text_of(variable, "name"));
  }
  return {};
}

Outcome<void> check_container(const Json& definition, const Json& container) {
  const auto mode = text_of(definition, "networkMode");
  if (auto checked = check_name_and_image(container); !checked) return checked;
  if (auto checked = check_resources(container, definition.contains("memory")); !checked) return checked;
  if (auto checked = check_ports(container, mode == "awsvpc"); !checked) return checked;
  if (auto checked = check_network_members(container, mode); !checked) return checked;
  if (auto checked = check_health(container); !checked) return checked;
  return check_limits(container);
}

// Depth first; `path` holds the containers on the way here.
bool has_cycle(const Json& definition, const std::string& name, std::set<std::string>& path, std::set<std::string>& done) {
  if (done.contains(name)) return false;
  if (!path.insert(name).second) return true;
  const auto* container = find_container(definition, name);
  for (const auto& dependency : list_of(*container, "dependsOn"))
    if (has_cycle(definition, text_of(dependency, "containerName"), path, done)) return true;
  path.erase(name);
  done.insert(name);
  return false;
}

Outcome<void> check_dependency(const Json& definition, const std::string& name, const Json& dependency) {
  const auto other = text_of(dependency, "containerName");
  const auto condition = text_of(dependency, "condition");
  const auto* target = find_container(definition, other);
  if (target == nullptr)
    return client_error("Container '{}' depends on container '{}', which is not in the task definition.", name, other);
  if (other == name) return client_error("Container '{}' depends on itself.", name);
  if (condition == "HEALTHY" && !target->contains("healthCheck"))
    return client_error("Container '{}' depends on container '{}' to be HEALTHY, but that has no health check.", name, other);
  if ((condition == "COMPLETE" || condition == "SUCCESS") && target->value("essential", true))
    return client_error("Container '{}' depends on container '{}' with condition {}, which an essential container can't have.",
                        name, other, condition);
  return {};
}

}  // namespace

Outcome<void> check_containers(const Json& definition) {
  const auto& containers = list_of(definition, "containerDefinitions");
  if (containers.empty()) return client_error("Container list cannot be empty.");
  if (containers.size() > kContainersMax) return client_error("A task definition has at most {} containers.", kContainersMax);
  std::set<std::string> names;
  bool essential = false;
  for (const auto& container : containers) {
    if (auto checked = check_container(definition, container); !checked) return checked;
    if (!names.insert(text_of(container, "name")).second)
      return client_error("Container names must be unique: '{}' comes twice.", text_of(container, "name"));
    essential = essential || container.value("essential", true);
  }
  if (!essential) return client_error("A task definition must have at least one essential container.");
  for (const auto& role : {"taskRoleArn", "executionRoleArn"}) {
    const auto arn = text_of(definition, role);
    if (definition.contains(role) && (!arn.starts_with("arn:aws:iam::") || arn.find(":role/") == arn.npos))
      return client_error("Role is not valid");
  }
  return {};
}

Outcome<void> check_dependencies(const Json& definition) {
  const auto& containers = list_of(definition, "containerDefinitions");
  for (const auto& container : containers) {
    for (const auto& dependency : list_of(container, "dependsOn"))
      if (auto checked = check_dependency(definition, text_of(container, "name"), dependency); !checked) return checked;
  }
  std::set<std::string> path, done;
  for (const auto& container : containers) {
    if (has_cycle(definition, text_of(container, "name"), path, done))
      return client_error("The containers' dependencies form a cycle through container '{}'.", text_of(container, "name"));
  }
  return {};
}

}  // namespace berth::services::ecs

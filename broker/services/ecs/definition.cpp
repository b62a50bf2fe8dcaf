#include "broker/services/ecs/definition.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "broker/services/ecs/errors.hpp"
#include "broker/services/ecs/names.hpp"
#include "broker/services/ecs/task_size.hpp"
#include "cluster_sim/query.hpp"

namespace berth::services::ecs {

using api::Json;
using api::Outcome;

namespace {

constexpr std::size_t kPlacementConstraintsMax = 10;

Outcome<void> complete_sizes(Json& definition) {
  if (definition.contains("cpu")) {
    const auto cpu = parse_cpu_units(text_of(definition, "cpu"));
    if (!cpu) return client_error("Invalid 'cpu' setting for task.");
    definition["cpu"] = std::to_string(*cpu);
  }
  if (definition.contains("memory")) {
    const auto memory = parse_memory_mib(text_of(definition, "memory"));
    if (!memory) return client_error("Invalid 'memory' setting for task.");
    definition["memory"] = std::to_string(*memory);
  }
  return {};
}

void set_default(Json& object, const char* member, Json value) {
  if (!object.contains(member)) object[member] = std::move(value);
}

// In a network namespace of its own the task has each port for itself.
void complete_ports(Json& container, bool awsvpc) {
  for (auto& mapping : container["portMappings"]) {
    set_default(mapping, "protocol", "tcp");
    if (mapping.contains("containerPort")) set_default(mapping, "hostPort", awsvpc ? mapping["containerPort"] : Json(0));
  }
}

void complete_container(Json& container, bool awsvpc) {
  set_default(container, "cpu", 0);
  set_default(container, "essential", true);
  for (const auto* list : {"portMappings", "environment", "mountPoints", "volumesFrom", "systemControls"})
    set_default(container, list, Json::array());
  complete_ports(container, awsvpc);
  if (const auto health = container.find("healthCheck"); health != container.end()) {
    set_default(*health, "interval", 30);
    set_default(*health, "timeout", 5);
    set_default(*health, "retries", 3);
  }
}

void complete_volume(Json& volume) {
  if (auto efs = volume.find("efsVolumeConfiguration"); efs != volume.end()) {
    set_default(*efs, "rootDirectory", "/");
    return;
  }
  const bool other = volume.contains("dockerVolumeConfiguration") || volume.contains("fsxWindowsFileServerVolumeConfiguration") ||
                     volume.contains("s3filesVolumeConfiguration") || volume.value("configuredAtLaunch", false);
  if (!other) set_default(volume, "host", Json::object());
}

Outcome<void> check_placement(const Json& definition) {
  const auto& constraints = list_of(definition, "placementConstraints");
  if (constraints.size() > kPlacementConstraintsMax)
    return client_error("Too many placement constraints. The maximum is {}.", kPlacementConstraintsMax);
  for (const auto& constraint : constraints) {
    const auto expression = text_of(constraint, "expression");
    if (expression.empty()) return client_error("A memberOf placement constraint needs an expression.");
    if (const auto query = cluster_sim::Query::parse(expression); !query)
      return client_error("Invalid expression `{}` of a placement constraint: {}", expression, query.error().message);
  }
  return {};
}

Outcome<void> check_family(const Json& definition) {
  const auto family = text_of(definition, "family");
  if (family.empty()) return client_error("Family should not be null or empty.");
  if (family.size() > 255) return client_error("Family longer than 255.");
  if (!is_name(family)) return client_error("Family contains invalid characters.");
  return {};
}

// Task sizes on EC2; Fargate's table is stricter (definition_fargate.cpp).
Outcome<void> check_size(const Json& definition) {
  if (const auto cpu = parse_cpu_units(definition.value("cpu", "1024")); !cpu || *cpu < 128 || *cpu > 196608)
    return client_error("Invalid 'cpu' setting for task. The value must be between 128 and 196608 CPU units.");
  const auto total = definition.contains("memory") ? parse_memory_mib(text_of(definition, "memory")) : std::nullopt;
  if (!total) return {};
  int reserved = 0;
  for (const auto& container : list_of(definition, "containerDefinitions")) {
    if (container.value("memory", 0) > *total)
      return client_error("Invalid setting for container '{}'. The 'memory' setting for container is greater than for the task.",
                          text_of(container, "name"));
    reserved += container.value("memoryReservation", container.value("memory", 0));
  }
  if (reserved > *total)
    return client_error("The total memory that the containers reserve is greater than the 'memory' of the task.");
  return {};
}

Outcome<void> check_ephemeral_storage(const Json& definition) {
  const auto storage = definition.find("ephemeralStorage");
  if (storage == definition.end()) return {};
  const auto size = storage->value("sizeInGiB", 0);
  if (size < 21 || size > 200) return client_error("Invalid setting for ephemeralStorage: sizeInGiB must be between 21 and 200.");
  return {};
}

}  // namespace

const Json& list_of(const Json& object, const char* member) {
  static const Json empty = Json::array();
  const auto found = object.find(member);
  return found == object.end() ? empty : *found;
}

std::string text_of(const Json& object, const char* member) { return object.value(member, ""); }

bool is_awsvpc(const Json& definition) { return text_of(definition, "networkMode") == "awsvpc"; }

const Json* find_container(const Json& definition, std::string_view name) {
  for (const auto& container : list_of(definition, "containerDefinitions"))
    if (text_of(container, "name") == name) return &container;
  return nullptr;
}

Outcome<void> complete_definition(Json& definition) {
  if (auto sizes = complete_sizes(definition); !sizes) return sizes;
  for (auto& container : definition["containerDefinitions"]) complete_container(container, is_awsvpc(definition));
  for (const auto* list : {"volumes", "placementConstraints"}) set_default(definition, list, Json::array());
  for (auto& volume : definition["volumes"]) complete_volume(volume);
  return {};
}

Outcome<void> check_definition(const Json& definition) {
  for (const auto check : {check_family, check_containers, check_dependencies, check_volumes, check_size, check_placement,
                           check_ephemeral_storage}) {
    if (auto checked = check(definition); !checked) return checked;
  }
  for (const auto& wanted : list_of(definition, "requiresCompatibilities")) {
    if (wanted == "FARGATE") {
      if (const auto problem = fargate_problem(definition)) return client_error("{}", *problem);
    } else if (wanted != "EC2" && wanted != "EXTERNAL") {
      return client_error("Berth has no {} capacity: requiresCompatibilities may name EC2, FARGATE and EXTERNAL.",
                          wanted.get<std::string>());
    }
  }
  return {};
}

}  // namespace berth::services::ecs

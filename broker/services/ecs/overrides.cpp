#include "broker/services/ecs/overrides.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "broker/services/ecs/definition.hpp"
#include "broker/services/ecs/errors.hpp"
#include "broker/services/ecs/roles.hpp"
#include "broker/services/ecs/task_size.hpp"

namespace berth::services::ecs {

using api::Json;
using api::Outcome;

namespace {

constexpr std::size_t kOverridesSizeMax = 8192;

// Later variables win by name.
void merge_environment(Json& container, const Json& added) {
  auto& environment = container["environment"];
  if (!environment.is_array()) environment = Json::array();
  for (const auto& variable : added) {
    const auto same = std::find_if(environment.begin(), environment.end(),
                                   [&](const Json& e) { return text_of(e, "name") == text_of(variable, "name"); });
    if (same == environment.end())
      environment.push_back(variable);
    else
      *same = variable;
  }
}

Outcome<void> override_container(Json& definition, const Json& given) {
  const auto name = text_of(given, "name");
  if (name.empty()) return invalid("Container name must be specified for each container override.");
  auto& containers = definition["containerDefinitions"];
  const auto found =
      std::find_if(containers.begin(), containers.end(), [&](const Json& c) { return text_of(c, "name") == name; });
  if (found == containers.end())
    return invalid("Override for container named {} is not a container in the TaskDefinition.", name);
  for (const auto* member : {"command", "cpu", "memory", "memoryReservation", "environmentFiles", "resourceRequirements"})
    if (given.contains(member)) (*found)[member] = given[member];
  merge_environment(*found, list_of(given, "environment"));
  if (found->value("memory", 0) < 0 || found->value("cpu", 0) < 0)
    return invalid("Invalid resources in the override for container named {}.", name);
  if (found->contains("memory") && found->value("memoryReservation", 0) > found->value("memory", 0))
    return invalid("Invalid override for container named {}: memoryReservation is greater than memory.", name);
  return {};
}

Outcome<void> override_sizes(Json& definition, const Json& overrides) {
  if (overrides.contains("cpu")) {
    const auto cpu = parse_cpu_units(text_of(overrides, "cpu"));
    if (!cpu) return client_error("Invalid 'cpu' setting for task.");
    definition["cpu"] = std::to_string(*cpu);
  }
  if (overrides.contains("memory")) {
    const auto memory = parse_memory_mib(text_of(overrides, "memory"));
    if (!memory) return client_error("Invalid 'memory' setting for task.");
    definition["memory"] = std::to_string(*memory);
  }
  return {};
}

int amount(const Json& definition, const char* member) { return std::stoi(definition.value(member, "0")); }

}  // namespace

Outcome<Json> apply_overrides(const Home& home, Json definition, const Json& overrides) {
  if (overrides.dump().size() > kOverridesSizeMax)
    return invalid("Container Overrides length must be at most {}", kOverridesSizeMax);
  for (const auto* role : {"taskRoleArn", "executionRoleArn"})
    if (const auto name = text_of(overrides, role); !name.empty()) definition[role] = role_arn(home, name);
  if (auto sizes = override_sizes(definition, overrides); !sizes) return refused(sizes);
  if (overrides.contains("ephemeralStorage")) definition["ephemeralStorage"] = overrides["ephemeralStorage"];
  if (!list_of(overrides, "inferenceAcceleratorOverrides").empty())
    definition["inferenceAccelerators"] = overrides["inferenceAcceleratorOverrides"];
  for (const auto& container : list_of(overrides, "containerOverrides"))
    if (auto overridden = override_container(definition, container); !overridden) return refused(overridden);
  return definition;
}

cluster_sim::TaskRequirements requirements_of(const Json& definition) {
  cluster_sim::TaskRequirements needs;
  needs.task_definition_arn = text_of(definition, "taskDefinitionArn");
  needs.awsvpc = is_awsvpc(definition);
  int cpu = 0, memory = 0;
  for (const auto& container : list_of(definition, "containerDefinitions")) {
    cpu += container.value("cpu", 0);
    // The soft limit is what is set aside; what a container may use beyond it is not.
    memory += container.value("memoryReservation", container.value("memory", 0));
    needs.containers.push_back(text_of(container, "name"));
    needs.essential.push_back(container.value("essential", true));
  }
  needs.cpu = definition.contains("cpu") ? amount(definition, "cpu") : cpu;
  needs.memory_mib = definition.contains("memory") ? amount(definition, "memory") : memory;
  for (const auto& attribute : list_of(definition, "requiresAttributes")) {
    const auto value = text_of(attribute, "value");
    needs.attributes.push_back(text_of(attribute, "name") + (value.empty() ? "" : "=" + value));
  }
  for (const auto& constraint : list_of(definition, "placementConstraints"))
    needs.constraints.push_back({cluster_sim::PlacementConstraint::Kind::member_of, text_of(constraint, "expression")});
  return needs;
}

}  // namespace berth::services::ecs

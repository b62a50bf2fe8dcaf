#include "broker/agent/registration.hpp"

#include <array>

#include <nlohmann/json.hpp>

namespace berth::agent {
namespace {

using api::Json;

// What the agent of an ECS-optimized image can do, as far as Berth's runtime can do it too.
constexpr std::array kCapabilities{
    "com.amazonaws.ecs.capability.docker-remote-api.1.17",
    "com.amazonaws.ecs.capability.docker-remote-api.1.18",
    "com.amazonaws.ecs.capability.docker-remote-api.1.19",
    "com.amazonaws.ecs.capability.docker-remote-api.1.20",
    "com.amazonaws.ecs.capability.docker-remote-api.1.21",
    "com.amazonaws.ecs.capability.docker-remote-api.1.22",
    "com.amazonaws.ecs.capability.docker-remote-api.1.23",
    "com.amazonaws.ecs.capability.docker-remote-api.1.24",
    "com.amazonaws.ecs.capability.docker-remote-api.1.25",
    "com.amazonaws.ecs.capability.ecr-auth",
    "com.amazonaws.ecs.capability.logging-driver.awslogs",
    "com.amazonaws.ecs.capability.logging-driver.json-file",
    "com.amazonaws.ecs.capability.logging-driver.none",
    "com.amazonaws.ecs.capability.privileged-container",
    "com.amazonaws.ecs.capability.task-iam-role",
    "com.amazonaws.ecs.capability.task-iam-role-network-host",
    "ecs.capability.aws-appmesh",
    "ecs.capability.container-health-check",
    "ecs.capability.container-ordering",
    "ecs.capability.efs",
    "ecs.capability.efsAuth",
    "ecs.capability.env-files.s3",
    "ecs.capability.execution-role-awslogs",
    "ecs.capability.execution-role-ecr-pull",
    "ecs.capability.full-sync",
    "ecs.capability.pid-ipc-namespace-sharing",
    "ecs.capability.private-registry-authentication.secretsmanager",
    "ecs.capability.secrets.asm.environment-variables",
    "ecs.capability.secrets.ssm.environment-variables",
    "ecs.capability.task-cpu-mem-limit",
    "ecs.capability.task-eni",
};

Json attributes(const EcsConfig& config) {
  Json list = Json::array();
  for (const char* name : kCapabilities) list.push_back({{"name", name}});
  list.push_back({{"name", "ecs.os-type"}, {"value", "linux"}});
  list.push_back({{"name", "ecs.os-family"}, {"value", "LINUX"}});
  list.push_back({{"name", "ecs.cpu-architecture"}, {"value", "x86_64"}});
  for (const auto& [name, value] : config.attributes) list.push_back({{"name", name}, {"value", value}});
  return list;
}

Json integer(const char* name, int value) {
  return {{"name", name}, {"type", "INTEGER"}, {"integerValue", value}, {"longValue", 0}, {"doubleValue", 0.0}};
}
Json ports(const char* name, const std::vector<std::string>& values) {
  return {{"name", name},   {"type", "STRINGSET"}, {"integerValue", 0},
          {"longValue", 0}, {"doubleValue", 0.0},  {"stringSetValue", values}};
}

}  // namespace

int usable_memory_mib(const cluster_sim::InstanceType& type) {
  return static_cast<int>(static_cast<long>(type.memory_mib) * 7985 / 8192);
}

Json registration_input(const cluster_sim::Instance& instance, const cluster_sim::Settings& settings, const EcsConfig& config) {
  const cluster_sim::InstanceType& type = *cluster_sim::find_instance_type(instance.type);
  const Json document{{"instanceId", instance.id.str()}, {"instanceType", instance.type},
                      {"imageId", instance.image_id},    {"accountId", settings.account},
                      {"region", settings.region},       {"availabilityZone", instance.zone},
                      {"architecture", "x86_64"},        {"pendingTime", to_iso8601(instance.launched)},
                      {"version", "2017-09-30"}};
  const int memory = std::max(0, usable_memory_mib(type) - config.reserved_memory_mib);
  return {{"cluster", config.cluster},
          {"instanceIdentityDocument", document.dump()},
          {"instanceIdentityDocumentSignature", ""},
          {"totalResources",
           {integer("CPU", static_cast<int>(type.vcpus) * 1024), integer("MEMORY", memory),
            ports("PORTS", {"22", "2375", "2376", "51678", "51679"}), ports("PORTS_UDP", {})}},
          {"versionInfo", {{"agentVersion", kAgentVersion}, {"agentHash", "berth"}, {"dockerVersion", "DockerVersion: none"}}},
          {"attributes", attributes(config)}};
}

}  // namespace berth::agent

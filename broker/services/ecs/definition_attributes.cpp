// What a definition needs of the agent, as the attributes that the ECS agent registers for its capabilities.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-agent-versions.html (task definition parameters and agent
// versions)
#include <set>

#include <nlohmann/json.hpp>

#include "broker/services/ecs/definition.hpp"

namespace berth::services::ecs {

using api::Json;

namespace {

using Attributes = std::set<std::string>;

constexpr auto kDockerApi = "com.amazonaws.ecs.capability.docker-remote-api.";
constexpr auto kAgent = "com.amazonaws.ecs.capability.";

void add_secrets(const Json& container, Attributes& attributes) {
  for (const auto& secret : list_of(container, "secrets")) {
    const bool manager = text_of(secret, "valueFrom").find(":secretsmanager:") != std::string::npos;
    attributes.insert(manager ? "ecs.capability.secrets.asm.environment-variables"
                              : "ecs.capability.secrets.ssm.environment-variables");
  }
}

void add_logging(const Json& container, bool execution_role, Attributes& attributes) {
  const auto driver = text_of(container.value("logConfiguration", Json::object()), "logDriver");
  if (driver.empty()) return;
  if (driver == "awsfirelens") {
    attributes.insert("ecs.capability.firelens.fluentbit");
    return;
  }
  attributes.insert(std::string(kAgent) + "logging-driver." + driver);
  attributes.insert(std::string(kDockerApi) + "1.19");
  if (driver == "awslogs" && execution_role) attributes.insert("ecs.capability.execution-role-awslogs");
}

void add_container(const Json& container, bool execution_role, Attributes& attributes) {
  add_secrets(container, attributes);
  add_logging(container, execution_role, attributes);
  if (container.value("privileged", false)) attributes.insert(std::string(kAgent) + "privileged-container");
  if (container.contains("healthCheck")) attributes.insert("ecs.capability.container-health-check");
  if (!list_of(container, "dependsOn").empty()) attributes.insert("ecs.capability.container-ordering");
  if (!list_of(container, "environmentFiles").empty()) attributes.insert("ecs.capability.env-files.s3");
  if (container.contains("repositoryCredentials"))
    attributes.insert("ecs.capability.private-registry-authentication.secretsmanager");
  if (container.value("memoryReservation", 0) > 0) attributes.insert(std::string(kDockerApi) + "1.21");
  if (const auto image = text_of(container, "image"); image.find(".dkr.ecr.") != image.npos) {
    attributes.insert(std::string(kAgent) + "ecr-auth");
    if (execution_role) attributes.insert("ecs.capability.execution-role-ecr-pull");
  }
}

void add_volume(const Json& volume, Attributes& attributes) {
  const auto efs = volume.find("efsVolumeConfiguration");
  if (efs == volume.end()) return;
  attributes.insert("ecs.capability.efs");
  attributes.insert(std::string(kDockerApi) + "1.25");
  // Encryption, access points and IAM need a newer agent than plain NFS.
  if (efs->contains("authorizationConfig") || text_of(*efs, "transitEncryption") == "ENABLED")
    attributes.insert("ecs.capability.efsAuth");
}

}  // namespace

std::vector<std::string> required_attributes(const Json& definition) {
  Attributes attributes{std::string(kDockerApi) + "1.18"};
  const bool execution_role = definition.contains("executionRoleArn");
  if (is_awsvpc(definition)) attributes.insert("ecs.capability.task-eni");
  if (definition.contains("taskRoleArn"))
    attributes.insert(std::string(kAgent) +
                      (text_of(definition, "networkMode") == "host" ? "task-iam-role-network-host" : "task-iam-role"));
  if (definition.contains("cpu") || definition.contains("memory")) attributes.insert("ecs.capability.task-cpu-mem-limit");
  if (definition.contains("pidMode") || definition.contains("ipcMode"))
    attributes.insert("ecs.capability.pid-ipc-namespace-sharing");
  for (const auto& container : list_of(definition, "containerDefinitions")) add_container(container, execution_role, attributes);
  for (const auto& volume : list_of(definition, "volumes")) add_volume(volume, attributes);
  return {attributes.begin(), attributes.end()};
}

}  // namespace berth::services::ecs

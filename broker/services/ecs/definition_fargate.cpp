// What Fargate asks of a task definition, and which launch types a definition suits.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html
#include <algorithm>

#include <nlohmann/json.hpp>

#include "broker/services/ecs/definition.hpp"
#include "broker/services/ecs/task_size.hpp"
#include "cluster_sim/capacity.hpp"

namespace berth::services::ecs {

using api::Json;

namespace {

using Problem = std::optional<std::string>;

Problem size_problem(const Json& definition) {
  if (!definition.contains("cpu")) return "Fargate requires that 'cpu' be defined at the task level.";
  if (!definition.contains("memory")) return "Fargate requires that 'memory' be defined at the task level.";
  const auto cpu = parse_cpu_units(text_of(definition, "cpu"));
  const auto memory = parse_memory_mib(text_of(definition, "memory"));
  if (!cpu || !memory || !cluster_sim::fargate_size_valid(*cpu, *memory))
    return "No Fargate configuration exists for given values.";
  int containers = 0;
  for (const auto& container : list_of(definition, "containerDefinitions")) containers += container.value("cpu", 0);
  if (containers > *cpu) return "The total 'cpu' of the containers is greater than the 'cpu' of the task.";
  return std::nullopt;
}

Problem task_problem(const Json& definition) {
  if (!is_awsvpc(definition)) return "Fargate only supports network mode 'awsvpc'.";
  if (auto problem = size_problem(definition)) return problem;
  if (!list_of(definition, "placementConstraints").empty())
    return "Fargate compatible task definitions do not support placement constraints.";
  if (definition.contains("ipcMode")) return "Fargate compatible task definitions do not support ipcMode.";
  if (text_of(definition, "pidMode") == "host") return "Fargate compatible task definitions do not support pidMode host.";
  if (!list_of(definition, "inferenceAccelerators").empty())
    return "Fargate compatible task definitions do not support inference accelerators.";
  return std::nullopt;
}

Problem volume_problem(const Json& volume) {
  if (volume.contains("host") && !text_of(volume["host"], "sourcePath").empty())
    return "host.sourcePath should not be set for volumes in Fargate.";
  for (const auto* member : {"dockerVolumeConfiguration", "fsxWindowsFileServerVolumeConfiguration"})
    if (volume.contains(member)) return std::string("Fargate compatible task definitions do not support ") + member + ".";
  return std::nullopt;
}

Problem container_problem(const Json& container) {
  if (container.value("privileged", false)) return "Fargate compatible task definitions do not support privileged containers.";
  if (!list_of(container, "links").empty()) return "Fargate compatible task definitions do not support links.";
  for (const auto* timeout : {"startTimeout", "stopTimeout"})
    if (container.value(timeout, 0) > 120) return std::string("Fargate allows a ") + timeout + " of 120 seconds at most.";
  const auto linux_parameters = container.value("linuxParameters", Json::object());
  for (const auto* member : {"devices", "sharedMemorySize", "tmpfs", "maxSwap", "swappiness"})
    if (linux_parameters.contains(member))
      return std::string("Fargate compatible task definitions do not support linuxParameters.") + member + ".";
  for (const auto& added : list_of(linux_parameters.value("capabilities", Json::object()), "add"))
    if (added != "SYS_PTRACE") return "Fargate allows no added Linux capability but SYS_PTRACE.";
  const auto driver = text_of(container.value("logConfiguration", Json::object()), "logDriver");
  if (!driver.empty() && driver != "awslogs" && driver != "splunk" && driver != "awsfirelens")
    return "Fargate supports the log drivers awslogs, splunk and awsfirelens.";
  return std::nullopt;
}

Problem execution_role_problem(const Json& definition) {
  if (definition.contains("executionRoleArn")) return std::nullopt;
  for (const auto& container : list_of(definition, "containerDefinitions")) {
    if (text_of(container.value("logConfiguration", Json::object()), "logDriver") == "awslogs")
      return "Fargate requires task definition to have execution role ARN to support log driver awslogs.";
    const auto image = text_of(container, "image");
    if (image.find(".dkr.ecr.") != image.npos)
      return "Fargate requires task definition to have execution role ARN to support ECR images.";
    if (!list_of(container, "secrets").empty())
      return "Fargate requires task definition to have execution role ARN to support secrets.";
  }
  return std::nullopt;
}

// ECS Anywhere: no network interfaces, no load balancers, no EFS volumes.
bool suits_external(const Json& definition) {
  const auto& volumes = list_of(definition, "volumes");
  return !is_awsvpc(definition) &&
         std::none_of(volumes.begin(), volumes.end(), [](const Json& v) { return v.contains("efsVolumeConfiguration"); });
}

}  // namespace

std::optional<std::string> fargate_problem(const Json& definition) {
  if (auto problem = task_problem(definition)) return problem;
  for (const auto& volume : list_of(definition, "volumes"))
    if (auto problem = volume_problem(volume)) return problem;
  for (const auto& container : list_of(definition, "containerDefinitions"))
    if (auto problem = container_problem(container)) return problem;
  return execution_role_problem(definition);
}

std::vector<std::string> compatibilities_of(const Json& definition) {
  std::vector<std::string> result;
  if (suits_external(definition)) result.emplace_back("EXTERNAL");
  result.emplace_back("EC2");
  if (!fargate_problem(definition)) result.emplace_back("FARGATE");
  return result;
}

}  // namespace berth::services::ecs

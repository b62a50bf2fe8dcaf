#include "broker/services/ecs/not_built.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "broker/services/ecs/definition.hpp"

namespace berth::services::ecs {

using api::Json;

namespace {

using Missing = std::optional<std::string>;

#if defined(__aarch64__)
constexpr auto kMachine = "ARM64";
#else
constexpr auto kMachine = "X86_64";
#endif

// Members that ask for something whenever they are there and not empty.
struct Member {
  const char* name;
  const char* what;
};
constexpr Member kContainerMembers[] = {
    {"links", "links between containers"},
    {"secrets", "secrets of Secrets Manager and Systems Manager"},
    {"environmentFiles", "environment files"},
    {"firelensConfiguration", "FireLens"},
    {"resourceRequirements", "GPUs and inference accelerators"},
    {"repositoryCredentials", "private registries"},
    {"credentialSpecs", "credential specs"},
    {"dnsServers", "name servers of the container's own"},
    {"dnsSearchDomains", "search domains of the container's own"},
    {"extraHosts", "extra hosts"},
    {"dockerSecurityOptions", "security options"},
    {"systemControls", "system controls"},
};
constexpr Member kContainerFlags[] = {
    {"privileged", "privileged containers"},
    {"disableNetworking", "containers without network"},
    {"interactive", "interactive containers"},
    {"pseudoTerminal", "terminals"},
};
constexpr Member kLinuxMembers[] = {
    {"devices", "host devices"},    {"tmpfs", "tmpfs mounts"},    {"sharedMemorySize", "a size of /dev/shm"},
    {"maxSwap", "swap of its own"}, {"swappiness", "swappiness"},
};
constexpr Member kVolumeMembers[] = {
    {"fsxWindowsFileServerVolumeConfiguration", "FSx for Windows File Server volumes"},
    {"s3filesVolumeConfiguration", "S3 Files volumes"},
};

bool given(const Json& object, const char* member) {
  const auto found = object.find(member);
  return found != object.end() && !found->is_null() && !((found->is_array() || found->is_object()) && found->empty());
}

Missing in_container(const Json& container, bool awsvpc) {
  const auto say = [&](const char* member, const char* what) {
    return fmt::format("container '{}' has {}: Berth does not offer {} yet", text_of(container, "name"), member, what);
  };
  for (const auto& [name, what] : kContainerMembers)
    if (given(container, name)) return say(name, what);
  for (const auto& [name, what] : kContainerFlags)
    if (container.value(name, false)) return say(name, what);
  const auto linux_parameters = container.value("linuxParameters", Json::object());
  for (const auto& [name, what] : kLinuxMembers)
    if (given(linux_parameters, name)) return say(name, what);
  if (container.value("restartPolicy", Json::object()).value("enabled", false))
    return say("restartPolicy", "restarts of containers");
  if (text_of(container.value("logConfiguration", Json::object()), "logDriver") == "awsfirelens")
    return say("the log driver awsfirelens", "FireLens");
  // A task with an interface of its own is reached at its own address; nothing is mapped.
  if (!awsvpc && given(container, "portMappings"))
    return say("portMappings", "ports of a task that is not in network mode awsvpc");
  return std::nullopt;
}

Missing in_volume(const Json& volume) {
  for (const auto& [name, what] : kVolumeMembers)
    if (volume.contains(name)) return fmt::format("volume '{}': Berth does not offer {} yet", text_of(volume, "name"), what);
  if (const auto docker = volume.find("dockerVolumeConfiguration"); docker != volume.end()) {
    // Such a volume of the task's own is an empty directory like any other.
    if (docker->value("scope", "task") != "task" || docker->value("driver", "local") != "local" || given(*docker, "driverOpts"))
      return fmt::format("volume '{}': Berth offers Docker volumes of scope task and driver local without options only",
                         text_of(volume, "name"));
  }
  if (volume.value("configuredAtLaunch", false))
    return fmt::format("volume '{}': Berth does not offer EBS volumes yet", text_of(volume, "name"));
  return std::nullopt;
}

Missing in_platform(const Json& definition) {
  const auto platform = definition.value("runtimePlatform", Json::object());
  const auto family = platform.value("operatingSystemFamily", "LINUX"),
             architecture = platform.value("cpuArchitecture", kMachine);
  if (family != "LINUX") return fmt::format("runtimePlatform {}: Berth runs Linux containers only", family);
  if (architecture != kMachine) return fmt::format("runtimePlatform {}: this machine is {}", architecture, kMachine);
  return std::nullopt;
}

}  // namespace

std::optional<std::string> not_built_in_definition(const Json& definition) {
  const auto mode = text_of(definition, "networkMode");
  if (mode == "host") return "networkMode host: Berth does not offer the host's network to tasks";
  for (const auto* member : {"pidMode", "ipcMode"}) {
    const auto value = text_of(definition, member);
    if (!value.empty() && value != "none") return fmt::format("{} {}: Berth does not offer shared namespaces yet", member, value);
  }
  if (given(definition, "proxyConfiguration")) return "proxyConfiguration: Berth does not offer App Mesh";
  if (given(definition, "inferenceAccelerators")) return "inferenceAccelerators: Berth does not offer inference accelerators";
  if (definition.value("enableFaultInjection", false)) return "enableFaultInjection: Berth does not offer fault injection yet";
  if (auto missing = in_platform(definition)) return missing;
  for (const auto& volume : list_of(definition, "volumes"))
    if (auto missing = in_volume(volume)) return missing;
  for (const auto& container : list_of(definition, "containerDefinitions"))
    if (auto missing = in_container(container, mode == "awsvpc")) return missing;
  return std::nullopt;
}

std::optional<std::string> not_built_in_call(const Json& input) {
  if (input.value("enableExecuteCommand", false)) return "enableExecuteCommand: Berth does not offer ECS Exec yet";
  if (given(input, "volumeConfigurations")) return "volumeConfigurations: Berth does not offer EBS volumes yet";
  const auto type = text_of(input, "launchType");
  if (type == "EXTERNAL" || type == "MANAGED_INSTANCES")
    return fmt::format("launchType {}: Berth has EC2 and Fargate capacity only", type);
  return std::nullopt;
}

}  // namespace berth::services::ecs

#include "broker/launch/containers.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace berth::launch {
namespace {

const Json* find(const Json& json, const char* name) {
  const auto found = json.find(name);
  return found == json.end() || found->is_null() ? nullptr : &*found;
}

template <class T>
T get(const Json& json, const char* name, T otherwise = {}) {
  if (const auto* value = find(json, name)) return value->get<T>();
  return otherwise;
}

template <class T>
std::optional<T> get_optional(const Json& json, const char* name) {
  const auto* value = find(json, name);
  return value == nullptr ? std::nullopt : std::optional<T>(value->get<T>());
}

const Json& list(const Json& json, const char* name) {
  static const Json kEmpty = Json::array();
  const auto* value = find(json, name);
  return value == nullptr ? kEmpty : *value;
}

const Json& named(const Json& items, const std::string& name) {
  static const Json kNothing = Json::object();
  for (const auto& item : items)
    if (item.value("name", "") == name) return item;
  return kNothing;
}

// Members whose loss a user would notice only when it is too late.
Result<> check_supported(const std::string& name, const Json& definition, const Json& override_of_it) {
  struct Member {
    const char* name;
    const char* reason;
  };
  constexpr Member kUnbuilt[] = {
      {"secrets", "secrets from Secrets Manager or SSM Parameter Store"},
      {"environmentFiles", "environment files from S3"},
      {"resourceRequirements", "GPUs and inference accelerators"},
      {"credentialSpecs", "credential specs"},
      {"firelensConfiguration", "FireLens log routers"},
      {"repositoryCredentials", "private registry credentials"},
  };
  for (const auto* json : {&definition, &override_of_it})
    for (const auto& member : kUnbuilt)
      if (const auto* value = find(*json, member.name); value != nullptr && !value->empty())
        return fail(Code::unimplemented, "ResourceInitializationError: container `{}` has {}: Berth has no {} yet", name,
                    member.name, member.reason);
  return {};
}

void read_environment(std::map<std::string, std::string>& environment, const Json& json) {
  for (const auto& variable : list(json, "environment")) environment[variable.value("name", "")] = variable.value("value", "");
}

std::vector<runtime::MountPoint> read_mount_points(const Json& definition) {
  std::vector<runtime::MountPoint> points;
  for (const auto& point : list(definition, "mountPoints"))
    points.push_back({point.value("sourceVolume", ""), point.value("containerPath", ""), get<bool>(point, "readOnly")});
  return points;
}

void add_volumes_from(std::vector<runtime::MountPoint>& points, const Json& definition, const Json& all_definitions) {
  for (const auto& from : list(definition, "volumesFrom"))
    for (auto point : read_mount_points(named(all_definitions, from.value("sourceContainer", "")))) {
      point.read_only = point.read_only || get<bool>(from, "readOnly");
      points.push_back(std::move(point));
    }
}

runtime::Container::HealthCheck read_health_check(const Json& json) {
  runtime::Container::HealthCheck check;
  check.command = get<std::vector<std::string>>(json, "command");
  check.interval = std::chrono::seconds(get(json, "interval", 30));
  check.timeout = std::chrono::seconds(get(json, "timeout", 5));
  check.start_period = std::chrono::seconds(get(json, "startPeriod", 0));
  check.retries = get(json, "retries", 3U);
  return check;
}

void read_limits(runtime::Container& container, const Json& definition, const Json& override_of_it) {
  const auto limit = [&](const char* name) -> std::optional<unsigned> {
    const auto value = get_optional<unsigned>(override_of_it, name);
    return value ? value : get_optional<unsigned>(definition, name);
  };
  container.cpu = limit("cpu");
  // 0 is how Describe* writes a container without a share of its own.
  if (container.cpu == 0U) container.cpu.reset();
  container.memory_mib = limit("memory");
  container.memory_reservation_mib = limit("memoryReservation");
  for (const auto& ulimit : list(definition, "ulimits"))
    container.ulimits.push_back(
        {ulimit.value("name", ""), ulimit.value("softLimit", std::uint64_t{0}), ulimit.value("hardLimit", std::uint64_t{0})});
}

void read_life(runtime::Container& container, const Json& definition) {
  container.essential = get(definition, "essential", true);
  container.stop_timeout = std::chrono::seconds(get(definition, "stopTimeout", 30));
  if (const auto seconds = get_optional<int>(definition, "startTimeout"))
    container.start_timeout = std::chrono::seconds(*seconds);
  for (const auto& dependency : list(definition, "dependsOn"))
    container.depends_on.push_back({dependency.value("containerName", ""), dependency.value("condition", "")});
  if (const auto* check = find(definition, "healthCheck")) container.health_check = read_health_check(*check);
}

void read_security(runtime::Container& container, const Json& definition) {
  container.user = get<std::string>(definition, "user");
  container.privileged = get<bool>(definition, "privileged");
  container.read_only_root = get<bool>(definition, "readonlyRootFilesystem");
  const auto* linux_parameters = find(definition, "linuxParameters");
  if (linux_parameters == nullptr) return;
  container.init = get<bool>(*linux_parameters, "initProcessEnabled");
  if (const auto* capabilities = find(*linux_parameters, "capabilities")) {
    container.add_capabilities = get<std::vector<std::string>>(*capabilities, "add");
    container.drop_capabilities = get<std::vector<std::string>>(*capabilities, "drop");
  }
}

Result<EfsVolume> read_efs_volume(const std::string& name, const Json& json) {
  EfsVolume volume{.name = name};
  volume.file_system = get<std::string>(json, "fileSystemId");
  volume.root = get<std::string>(json, "rootDirectory", "/");
  volume.transit_encryption = get<std::string>(json, "transitEncryption") == "ENABLED";
  if (const auto* authorization = find(json, "authorizationConfig")) {
    volume.access_point = get<std::string>(*authorization, "accessPointId");
    volume.iam = get<std::string>(*authorization, "iam") == "ENABLED";
  }
  if ((volume.iam || !volume.access_point.empty()) && !volume.transit_encryption)
    return fail(Code::invalid_argument, "ResourceInitializationError: volume `{}`: {} needs transitEncryption ENABLED", name,
                volume.iam ? "IAM authorization" : "an access point");
  if (!volume.access_point.empty() && volume.root != "/" && !volume.root.empty())
    return fail(Code::invalid_argument,
                "ResourceInitializationError: volume `{}`: with an access point rootDirectory must be left out or /", name);
  if (volume.root.empty()) volume.root = "/";
  return volume;
}

}  // namespace

Result<runtime::Container> read_container(const Json& definition, const Json& overrides, const Json& all_definitions) {
  runtime::Container container;
  container.name = get<std::string>(definition, "name");
  const auto& override_of_it = named(list(overrides, "containerOverrides"), container.name);
  if (auto supported = check_supported(container.name, definition, override_of_it); !supported) return fail(supported.error());
  container.image = get<std::string>(definition, "image");
  container.entry_point = get<std::vector<std::string>>(definition, "entryPoint");
  const auto* command = find(override_of_it, "command");
  container.command = get<std::vector<std::string>>(command != nullptr ? override_of_it : definition, "command");
  read_environment(container.environment, definition);
  read_environment(container.environment, override_of_it);
  container.working_directory = get<std::string>(definition, "workingDirectory");
  container.hostname = get<std::string>(definition, "hostname");
  container.mount_points = read_mount_points(definition);
  add_volumes_from(container.mount_points, definition, all_definitions);
  read_limits(container, definition, override_of_it);
  read_life(container, definition);
  read_security(container, definition);
  return container;
}

Result<std::variant<runtime::Volume, EfsVolume>> read_volume(const Json& json) {
  const auto name = get<std::string>(json, "name");
  if (const auto* efs = find(json, "efsVolumeConfiguration")) {
    auto volume = read_efs_volume(name, *efs);
    if (!volume) return fail(volume.error());
    return std::variant<runtime::Volume, EfsVolume>(std::move(*volume));
  }
  for (const char* unbuilt : {"fsxWindowsFileServerVolumeConfiguration", "s3filesVolumeConfiguration"})
    if (find(json, unbuilt) != nullptr)
      return fail(Code::unimplemented, "ResourceInitializationError: volume `{}` has {}, which Berth does not have", name,
                  unbuilt);
  if (get<bool>(json, "configuredAtLaunch"))
    return fail(Code::unimplemented,
                "ResourceInitializationError: volume `{}` is configuredAtLaunch: Berth has no EBS volumes yet", name);
  runtime::Volume volume{.name = name};
  if (const auto* docker = find(json, "dockerVolumeConfiguration")) {
    if (get<std::string>(*docker, "scope", "task") != "task" || get<std::string>(*docker, "driver", "local") != "local")
      return fail(Code::unimplemented,
                  "ResourceInitializationError: volume `{}`: Berth has Docker volumes of scope task and driver local only", name);
  }
  const auto* host = find(json, "host");
  volume.host_path = host != nullptr ? get<std::string>(*host, "sourcePath") : std::string();
  volume.kind = volume.host_path.empty() ? runtime::Volume::Kind::scratch : runtime::Volume::Kind::host;
  return std::variant<runtime::Volume, EfsVolume>(std::move(volume));
}

}  // namespace berth::launch

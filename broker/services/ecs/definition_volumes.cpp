// Checks of volumes and of what mounts them.
#include <set>

#include <nlohmann/json.hpp>

#include "broker/services/ecs/definition.hpp"
#include "broker/services/ecs/errors.hpp"
#include "broker/services/ecs/names.hpp"

namespace berth::services::ecs {

using api::Json;
using api::Outcome;

namespace {

Outcome<void> check_efs(const Json& efs) {
  const auto id = text_of(efs, "fileSystemId");
  if (id.empty()) return client_error("EFSVolumeConfiguration.fileSystemId should not be null or empty.");
  if (!id.starts_with("fs-")) return client_error("Invalid fileSystemId `{}`: a file system's id begins with fs-.", id);
  const bool encrypted = text_of(efs, "transitEncryption") == "ENABLED";
  if (const auto port = efs.find("transitEncryptionPort"); port != efs.end()) {
    if (!encrypted) return client_error("transitEncryptionPort needs transitEncryption to be ENABLED.");
    if (port->get<int>() < 0 || port->get<int>() > 65535)
      return client_error("Invalid transitEncryptionPort {}.", port->get<int>());
  }
  const auto root = text_of(efs, "rootDirectory");
  if (!root.starts_with('/')) return client_error("Invalid rootDirectory `{}`: it must be an absolute path.", root);
  const auto authorization = efs.find("authorizationConfig");
  if (authorization == efs.end()) return {};
  if (text_of(*authorization, "iam") == "ENABLED" && !encrypted)
    return client_error("EFS IAM authorization requires transitEncryption to be ENABLED.");
  if (const auto point = text_of(*authorization, "accessPointId"); !point.empty()) {
    if (!point.starts_with("fsap-"))
      return client_error("Invalid accessPointId `{}`: an access point's id begins with fsap-.", point);
    if (!encrypted) return client_error("Using an EFS access point requires transitEncryption to be ENABLED.");
    if (root != "/")
      return client_error("When using an EFS access point, the root directory must either be set to \"/\" or be omitted.");
  }
  return {};
}

Outcome<void> check_volume(const Json& volume) {
  const auto name = text_of(volume, "name");
  if (!is_name(name)) return client_error("Volume.name contains invalid characters.");
  int configurations = volume.value("configuredAtLaunch", false) ? 1 : 0;
  for (const auto* member : {"host", "efsVolumeConfiguration", "dockerVolumeConfiguration",
                             "fsxWindowsFileServerVolumeConfiguration", "s3filesVolumeConfiguration"})
    configurations += volume.contains(member) ? 1 : 0;
  if (configurations > 1) return client_error("Volume '{}' has more than one configuration; only one is allowed.", name);
  if (const auto host = volume.find("host"); host != volume.end()) {
    const auto path = text_of(*host, "sourcePath");
    if (!path.empty() && !path.starts_with('/'))
      return client_error("Invalid host.sourcePath `{}` of volume '{}': it must be an absolute path.", path, name);
  }
  if (const auto efs = volume.find("efsVolumeConfiguration"); efs != volume.end()) return check_efs(*efs);
  return {};
}

Outcome<void> check_mounts(const Json& container, const std::set<std::string>& volumes) {
  const auto name = text_of(container, "name");
  std::set<std::string> paths;
  for (const auto& mount : list_of(container, "mountPoints")) {
    const auto volume = text_of(mount, "sourceVolume"), path = text_of(mount, "containerPath");
    if (!volumes.contains(volume)) return client_error("Unknown volume '{}'.", volume);
    if (!path.starts_with('/'))
      return client_error("Invalid containerPath `{}` of container '{}': it must be an absolute path.", path, name);
    if (!paths.insert(path).second) return client_error("Container '{}' mounts `{}` twice.", name, path);
  }
  return {};
}

}  // namespace

Outcome<void> check_volumes(const Json& definition) {
  std::set<std::string> volumes;
  for (const auto& volume : list_of(definition, "volumes")) {
    if (auto checked = check_volume(volume); !checked) return checked;
    if (!volumes.insert(text_of(volume, "name")).second)
      return client_error("Volume names must be unique: '{}' comes twice.", text_of(volume, "name"));
  }
  for (const auto& container : list_of(definition, "containerDefinitions")) {
    if (auto checked = check_mounts(container, volumes); !checked) return checked;
    for (const auto& from : list_of(container, "volumesFrom")) {
      if (find_container(definition, text_of(from, "sourceContainer")) == nullptr)
        return client_error("Container '{}' takes volumes from container '{}', which is not in the task definition.",
                            text_of(container, "name"), text_of(from, "sourceContainer"));
    }
  }
  return {};
}

}  // namespace berth::services::ecs

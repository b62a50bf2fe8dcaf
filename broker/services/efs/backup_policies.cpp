// Backup policies: put, kept and answered. Nothing backs up: AWS Backup is another service.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "broker/base/log.hpp"
#include "broker/control/control_plane.hpp"
#include "broker/services/efs/operations.hpp"
#include "broker/services/efs/records.hpp"

namespace berth::services::efs {

using api::refuse;
using control::Control;

namespace {

Json describe_backup(const char* status) { return {{"BackupPolicy", {{"Status", status}}}}; }

}  // namespace

Outcome<Json> put_backup_policy(const Parts& parts, const CallContext&, const Json& input) {
  const auto status = input.at("BackupPolicy").at("Status").get<std::string>();
  if (status != "ENABLED" && status != "DISABLED")
    return refuse("BadRequest", fmt::format("a backup policy can be put ENABLED or DISABLED, not {}", status));
  const bool enabled = status == "ENABLED";
  return parts.plane.with([&](Control& c) -> Outcome<Json> {
    const auto record = need_available(c.catalog, input.at("FileSystemId").get<std::string>());
    if (!record) return std::unexpected(record.error());
    const bool same = (*record)->backup == enabled;
    c.catalog.edit((*record)->id)->backup = enabled;
    if (same) return describe_backup(enabled ? "ENABLED" : "DISABLED");
    if (enabled) warn_that_nothing_backs_up((*record)->id);
    // As EFS answers it; the next Describe* says where it went.
    return describe_backup(enabled ? "ENABLING" : "DISABLING");
  });
}

Outcome<Json> describe_backup_policy(const Parts& parts, const CallContext&, const Json& input) {
  return parts.plane.read([&](const Control& c) -> Outcome<Json> {
    const auto record = need_file_system(c.catalog, input.at("FileSystemId").get<std::string>());
    if (!record) return std::unexpected(record.error());
    if (!(*record)->backup)
      return refuse("PolicyNotFound", fmt::format("File system '{}' has no backup policy.", (*record)->id.str()));
    return describe_backup(*(*record)->backup ? "ENABLED" : "DISABLED");
  });
}

void warn_that_nothing_backs_up(const fuse::FileSystemId& id) {
  log::warning("the backup policy is kept, but Berth backs nothing up", {{"file_system", id.str()}});
}

}  // namespace berth::services::efs

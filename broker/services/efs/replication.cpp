// Replication configurations and the protection from them; replicator.hpp does the copying.
// https://docs.aws.amazon.com/efs/latest/ug/efs-replication.html
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "broker/base/log.hpp"
#include "broker/services/efs/new_file_system.hpp"
#include "broker/services/efs/operations.hpp"
#include "broker/services/efs/page.hpp"
#include "broker/services/efs/records.hpp"

namespace berth::services::efs {

using api::refuse;
using control::Control;
using fuse::FileSystemId;
using fuse::FileSystemRecord;
using fuse::OverwriteProtection;
using fuse::Replication;
using fuse::ReplicationStatus;

namespace {

Outcome<void> check_free(const FileSystemRecord& record, const fuse::Catalog& catalog) {
  if (!record.replication && catalog.source_of(record.id) == nullptr) return {};
  return refuse("BadRequest", fmt::format("File system '{}' is in a replication configuration already; it can be in one only.",
                                          record.id.str()));
}

// An ARN must be this account's and region's.
Outcome<const FileSystemRecord*> find_destination(const fuse::Catalog& catalog, const std::string& id_or_arn) {
  const auto record = need_available(catalog, id_or_arn);
  if (record && id_or_arn.starts_with("arn:") && id_or_arn != (*record)->arn)
    return refuse("FileSystemNotFound",
                  fmt::format("File system '{}' does not exist: Berth has one account and one region.", id_or_arn));
  return record;
}

Outcome<FileSystemId> take_destination(const FileSystemRecord& source, const Json& wish, Control& c) {
  if (wish.contains("AvailabilityZoneName") || wish.contains("KmsKeyId"))
    return refuse("BadRequest",
                  "AvailabilityZoneName and KmsKeyId are for a destination that is to be made: leave FileSystemId out");
  const auto found = find_destination(c.catalog, wish.at("FileSystemId"));
  if (!found) return std::unexpected(found.error());
  const auto& destination = **found;
  if (destination.id == source.id) return refuse("BadRequest", "a file system can't be replicated to itself");
  if (auto free = check_free(destination, c.catalog); !free) return std::unexpected(free.error());
  if (destination.overwrite_protection != OverwriteProtection::disabled)
    return refuse("BadRequest", fmt::format("The replication overwrite protection of file system '{}' is {}: disable it with "
                                            "UpdateFileSystemProtection first. What the file system holds is overwritten.",
                                            destination.id.str(), fuse::to_string(destination.overwrite_protection)));
  if (source.encrypted && !destination.encrypted)
    return refuse("ConflictException", fmt::format("source file system '{}' is encrypted, destination file system '{}' is not",
                                                   source.id.str(), destination.id.str()));
  c.catalog.edit(destination.id)->overwrite_protection = OverwriteProtection::replicating;
  return destination.id;
}

// As its source is, but always encrypted.
Outcome<FileSystemId> make_destination(const FileSystemRecord& source, const Json& wish, Control& c) {
  if (auto room = check_room(c.catalog); !room) return std::unexpected(room.error());
  FileSystemRecord record;
  record.owner = source.owner;
  record.creation_token = fmt::format("{}-replica-{}", source.id.str(), c.random.hex(8));
  record.created = c.now;
  record.throughput_mode = source.throughput_mode;
  record.provisioned_mibps = source.provisioned_mibps;
  if (const auto zone = wish.find("AvailabilityZoneName"); zone != wish.end()) {
    if (auto set = set_zone(record, *zone, c); !set) return std::unexpected(set.error());
    record.backup = true;
  } else {
    record.performance_mode = source.performance_mode;
  }
  encrypt(record, wish.value("KmsKeyId", ""), c);
  record.overwrite_protection = OverwriteProtection::replicating;
  name_new(record, c);
  const auto id = record.id;
  c.catalog.put(std::move(record));
  return id;
}

Outcome<void> check_wish(const Json& wish, const Control& c) {
  const auto& region = c.cluster.settings().region;
  if (const auto asked = wish.value("Region", region); asked != region)
    return refuse("BadRequest", fmt::format("Berth has one region, {}: it can't replicate to {}", region, asked));
  if (const auto role = wish.find("RoleArn");
      role != wish.end() && c.identities->find_role_by_arn(role->get<std::string>()) == nullptr)
    return refuse("BadRequest", fmt::format("there is no role `{}`", role->get<std::string>()));
  return {};
}

Json describe_replication(const Parts& parts, const FileSystemRecord& source, const std::string& region) {
  const auto& replication = *source.replication;
  Json destination{{"Status", fuse::to_string(replication.status)},
                   {"FileSystemId", replication.destination.str()},
                   {"Region", region},
                   {"OwnerId", source.owner}};
  if (replication.last_replicated) destination["LastReplicatedTimestamp"] = to_epoch_seconds(*replication.last_replicated);
  if (!replication.role_arn.empty()) destination["RoleArn"] = replication.role_arn;
  auto message = replication.message;
  if (message.empty() && !replication.last_replicated && parts.replication_progress)
    message = parts.replication_progress(source.id);
  if (!message.empty()) destination["StatusMessage"] = message;
  return {{"SourceFileSystemId", source.id.str()},
          {"SourceFileSystemRegion", region},
          {"SourceFileSystemArn", source.arn},
          {"SourceFileSystemOwnerId", source.owner},
          {"OriginalSourceFileSystemArn", source.arn},
          {"CreationTime", to_epoch_seconds(replication.created)},
          {"Destinations", Json::array({std::move(destination)})}};
}

// The source of the replication that the file system is in; nullptr where it is in none.
const FileSystemRecord* source_of_member(const fuse::Catalog& catalog, const FileSystemRecord& member) {
  return member.replication ? &member : catalog.source_of(member.id);
}

api::ApiError not_replicated(const FileSystemRecord& record) {
  return {"ReplicationNotFound", fmt::format("File system '{}' has no replication configuration.", record.id.str()), nullptr};
}

void undo(const Parts& parts, const FileSystemId& source, const FileSystemId& destination) {
  parts.plane.apply([&](Control& c) {
    if (auto* record = c.catalog.edit(source)) record->replication.reset();
    c.catalog.erase(destination);
  });
}

}  // namespace

Outcome<Json> create_replication_configuration(const Parts& parts, const CallContext&, const Json& input) {
  const auto& wishes = input.at("Destinations");
  if (wishes.size() != 1) return refuse("BadRequest", "a replication configuration has one destination");
  const auto& wish = wishes.front();
  const bool is_new = !wish.contains("FileSystemId");
  FileSystemId source_id, destination_id;
  auto answer = parts.plane.with([&](Control& c) -> Outcome<Json> {
    const auto source = need_available(c.catalog, input.at("SourceFileSystemId").get<std::string>());
    if (!source) return std::unexpected(source.error());
    if (auto free = check_free(**source, c.catalog); !free) return std::unexpected(free.error());
    if (auto checked = check_wish(wish, c); !checked) return std::unexpected(checked.error());
    const auto destination = is_new ? make_destination(**source, wish, c) : take_destination(**source, wish, c);
    if (!destination) return std::unexpected(destination.error());
    source_id = (*source)->id;
    destination_id = *destination;
    auto& changed = *c.catalog.edit(source_id);
    changed.replication = Replication{.destination = destination_id,
                                      .message = {},
                                      .role_arn = wish.value("RoleArn", ""),
                                      .created = c.now,
                                      .last_replicated = {}};
    return describe_replication(parts, changed, c.cluster.settings().region);
  });
  if (!answer) return answer;
  if (is_new) {
    if (auto made = make_available(parts, destination_id); !made) {
      undo(parts, source_id, destination_id);
      log::error("destination of a replication not made", {{"source", source_id.str()}, {"error", made.error().message}});
      return refuse("InternalServerError", made.error().message);
    }
  } else if (parts.access_changed) {
    parts.access_changed();  // its clients can't write any more
  }
  if (parts.replication_changed) parts.replication_changed(source_id);
  return answer;
}

Outcome<Json> describe_replication_configurations(const Parts& parts, const CallContext&, const Json& input) {
  return parts.plane.read([&](const Control& c) -> Outcome<Json> {
    std::vector<std::string> keys;
    if (input.contains("FileSystemId")) {
      const auto member = need_file_system(c.catalog, input.at("FileSystemId").get<std::string>());
      if (!member) return std::unexpected(member.error());
      const auto* source = source_of_member(c.catalog, **member);
      if (source == nullptr) return std::unexpected(not_replicated(**member));
      keys.push_back(source->id.str());
    } else {
      for (const auto& [id, record] : c.catalog.file_systems())
        if (record.replication) keys.push_back(id.str());
    }
    const auto& region = c.cluster.settings().region;
    return write_page(keys, input, by_token("Replications"), [&](const std::string& key) {
      return describe_replication(parts, *c.catalog.find(FileSystemId(key)), region);
    });
  });
}

// With either deletion mode: both file systems are here.
Outcome<Json> delete_replication_configuration(const Parts& parts, const CallContext&, const Json& input) {
  FileSystemId id;
  auto answer = parts.plane.with([&](Control& c) -> Outcome<Json> {
    const auto source = need_file_system(c.catalog, input.at("SourceFileSystemId").get<std::string>());
    if (!source) return std::unexpected(source.error());
    if (!(*source)->replication) return std::unexpected(not_replicated(**source));
    id = (*source)->id;
    auto& replication = *c.catalog.edit(id)->replication;
    replication.status = ReplicationStatus::deleting;
    replication.message.clear();
    return Json::object();
  });
  if (answer && parts.replication_changed) parts.replication_changed(id);
  return answer;
}

Outcome<Json> update_file_system_protection(const Parts& parts, const CallContext&, const Json& input) {
  const auto wish = fuse::parse_overwrite_protection(input.value("ReplicationOverwriteProtection", ""));
  if (!wish || *wish == OverwriteProtection::replicating)
    return refuse("BadRequest", "ReplicationOverwriteProtection can be set to ENABLED or DISABLED");
  return parts.plane.with([&](Control& c) -> Outcome<Json> {
    const auto record = need_available(c.catalog, input.at("FileSystemId").get<std::string>());
    if (!record) return std::unexpected(record.error());
    if ((*record)->overwrite_protection == OverwriteProtection::replicating)
      return refuse("ReplicationAlreadyExists",
                    "ReplicationOverwriteProtection cannot be changed while the file system is a replication destination.");
    auto& changed = *c.catalog.edit((*record)->id);
    changed.overwrite_protection = *wish;
    return Json{{"ReplicationOverwriteProtection", fuse::to_string(*wish)}};
  });
}

}  // namespace berth::services::efs

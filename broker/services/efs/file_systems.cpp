#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>

#include <nlohmann/json.hpp>

#include "broker/base/log.hpp"
#include "broker/control/control_plane.hpp"
#include "broker/services/efs/new_file_system.hpp"
#include "broker/services/efs/operations.hpp"
#include "broker/services/efs/page.hpp"
#include "broker/services/efs/records.hpp"

namespace berth::services::efs {

using api::refuse;
using control::Control;
using fuse::FileSystemId;
using fuse::FileSystemRecord;
using fuse::LifeCycle;

namespace {

api::ApiError already_exists(const FileSystemRecord& record) {
  return {"FileSystemAlreadyExists",
          fmt::format("File system '{}' already exists with creation token '{}'", record.id.str(), record.creation_token),
          std::make_shared<const Json>(Json{{"FileSystemId", record.id.str()}})};
}

constexpr std::size_t kFileSystemsMax = 1000;  // EFS's quota of an account in a region

// EFS's quota of write throughput in most regions; it can't be raised here.
constexpr double kProvisionedMibpsMax = 1024;
constexpr std::chrono::hours kBetweenDecreases{24};

// EFS lets the mode be changed, and a provisioned figure be decreased, once a day.
Outcome<void> check_pace(const FileSystemRecord& before, FileSystemRecord& after, TimePoint now) {
  const bool changed = before.throughput_mode != after.throughput_mode;
  const bool decreased = before.provisioned_mibps && after.provisioned_mibps < before.provisioned_mibps;
  if (!changed && !decreased) return {};
  if (before.throughput_lowered && now - *before.throughput_lowered < kBetweenDecreases)
    return refuse(
        "TooManyRequests",
        fmt::format("The throughput mode of a file system can be changed, or its provisioned throughput decreased, 24 hours "
                    "after the last such change, which was at {}",
                    to_iso8601(*before.throughput_lowered)));
  after.throughput_lowered = now;
  return {};
}

// Throughput: a figure goes with `provisioned`, and only with it.
Outcome<void> set_throughput(FileSystemRecord& record, const Json& input) {
  const auto mode = input.value("ThroughputMode", record.throughput_mode);
  auto figure = record.provisioned_mibps;
  if (const auto given = input.find("ProvisionedThroughputInMibps"); given != input.end()) {
    if (mode != "provisioned")
      return refuse("BadRequest", fmt::format("ProvisionedThroughputInMibps goes with ThroughputMode provisioned, not {}", mode));
    figure = given->get<double>();
  }
  if (figure && *figure > kProvisionedMibpsMax)
    return refuse("ThroughputLimitExceeded", fmt::format("ProvisionedThroughputInMibps can be at most {}", kProvisionedMibpsMax));
  if (mode == "provisioned" && !figure)
    return refuse("BadRequest", "ThroughputMode provisioned needs ProvisionedThroughputInMibps");
  if (mode == "elastic" && record.performance_mode == "maxIO")
    return refuse("BadRequest", "ThroughputMode elastic needs PerformanceMode generalPurpose");
  if (mode != "elastic" && std::any_of(record.lifecycle.begin(), record.lifecycle.end(),
                                       [](const auto& rule) { return rule.transition == kToArchive; }))
    return refuse("BadRequest",
                  fmt::format("the lifecycle configuration has {}, which needs ThroughputMode elastic", kToArchive));
  record.throughput_mode = mode;
  record.provisioned_mibps = mode == "provisioned" ? figure : std::nullopt;
  return {};
}

Outcome<void> set_encryption(FileSystemRecord& record, const Json& input, const Control& c) {
  const bool encrypted = input.value("Encrypted", false);
  if (input.contains("KmsKeyId") && !encrypted) return refuse("BadRequest", "KmsKeyId goes with Encrypted true");
  if (encrypted) encrypt(record, input.value("KmsKeyId", ""), c);
  return {};
}

Outcome<FileSystemRecord> decide_file_system(const CallContext& context, const Json& input, Control& c) {
  const auto token = input.at("CreationToken").get<std::string>();
  if (const auto* there = c.catalog.find_by_token(context.account, token)) return std::unexpected(already_exists(*there));
  if (auto room = check_room(c.catalog); !room) return std::unexpected(room.error());

  FileSystemRecord record;
  record.owner = context.account;
  record.creation_token = token;
  record.created = context.now;
  record.performance_mode = input.value("PerformanceMode", record.performance_mode);
  if (auto set = set_throughput(record, input); !set) return std::unexpected(set.error());
  if (input.contains("AvailabilityZoneName")) {
    if (auto set = set_zone(record, input.at("AvailabilityZoneName"), c); !set) return std::unexpected(set.error());
  }
  if (auto set = set_encryption(record, input, c); !set) return std::unexpected(set.error());
  auto tags = read_tags(input);
  if (!tags) return std::unexpected(tags.error());
  record.tags = std::move(*tags);
  name_new(record, c);
  // EFS backs One Zone file systems up unless it is told not to.
  if (input.value("Backup", !record.zone.empty())) record.backup = true;
  if (record.backup) warn_that_nothing_backs_up(record.id);
  return record;
}

Result<> finish_removal(const Parts& parts, const FileSystemId& id) {
  if (auto removed = parts.backing.remove(id); !removed) return removed;
  return parts.plane.with([&](Control& c) {
    for (const auto* access_point : c.catalog.access_points_of(id)) {
      const auto access_point_id = access_point->id;
      c.catalog.erase(access_point_id);
    }
    c.catalog.erase(id);
  });
}

}  // namespace

Outcome<void> check_room(const fuse::Catalog& catalog) {
  if (catalog.file_systems().size() < kFileSystemsMax) return {};
  return refuse("FileSystemLimitExceeded", fmt::format("an account has at most {} file systems", kFileSystemsMax));
}

Outcome<void> set_zone(FileSystemRecord& record, const std::string& zone, const Control& c) {
  const auto& zones = c.cluster.settings().zones;
  if (std::find(zones.begin(), zones.end(), zone) == zones.end())
    return refuse("UnsupportedAvailabilityZone", fmt::format("availability zone `{}` is not one of this region's", zone));
  if (record.performance_mode == "maxIO") return refuse("BadRequest", "One Zone file systems have no PerformanceMode maxIO");
  record.zone = zone;
  for (const auto& [id, subnet] : c.cluster.subnets())
    if (subnet.zone == record.zone) record.zone_id = subnet.zone_id;
  return {};
}

void encrypt(FileSystemRecord& record, const std::string& kms_key_id, const Control& c) {
  record.encrypted = true;
  // The alias stands for AWS's own key of the account.
  record.kms_key_id = !kms_key_id.empty() ? kms_key_id
                                          : fmt::format("arn:aws:kms:{}:{}:alias/aws/elasticfilesystem",
                                                        c.cluster.settings().region, record.owner);
}

void name_new(FileSystemRecord& record, Control& c) {
  record.id = FileSystemId(make_id(c.random, "fs-"));
  record.arn =
      fmt::format("arn:aws:elasticfilesystem:{}:{}:file-system/{}", c.cluster.settings().region, record.owner, record.id.str());
}

Result<> make_available(const Parts& parts, const FileSystemId& id) {
  const auto place = parts.plane.read([&](const Control& c) {
    const auto* record = c.catalog.find(id);
    if (record == nullptr || !record->tags.contains("berth:place")) return std::string();
    return record->tags.at("berth:place");
  });
  if (auto made = parts.backing.make(id, place); !made) return made;
  return parts.plane.with([&](Control& c) {
    if (auto* record = c.catalog.edit(id)) record->life_cycle = LifeCycle::available;
  });
}

Outcome<Json> create_file_system(const Parts& parts, const CallContext& context, const Json& input) {
  FileSystemId id;
  auto answer = parts.plane.with([&](Control& c) -> Outcome<Json> {
    auto record = decide_file_system(context, input, c);
    if (!record) return std::unexpected(record.error());
    id = record->id;
    auto json = describe(*record, c.catalog);
    c.catalog.put(std::move(*record));
    return json;
  });
  if (!answer) return answer;
  // EFS answers `creating`; here it lasts until the directory is there, which is before this call returns.
  if (auto made = make_available(parts, id); !made) {
    parts.plane.apply([&](Control& c) { c.catalog.erase(id); });
    log::error("file system not made", {{"file_system", id.str()}, {"error", made.error().message}});
    const bool asked_wrongly = made.error().code == Code::invalid_argument || made.error().code == Code::failed_precondition;
    return refuse(asked_wrongly ? "BadRequest" : "InternalServerError", made.error().message);
  }
  return answer;
}

Outcome<Json> describe_file_systems(const Parts& parts, const CallContext& context, const Json& input) {
  if (input.contains("FileSystemId") && input.contains("CreationToken"))
    return refuse("BadRequest", "give either FileSystemId or CreationToken, not both");
  return parts.plane.read([&](const Control& c) -> Outcome<Json> {
    std::vector<std::string> keys;
    if (input.contains("FileSystemId")) {
      const auto record = need_file_system(c.catalog, input.at("FileSystemId").get<std::string>());
      if (!record) return std::unexpected(record.error());
      keys.push_back((*record)->id.str());
    } else if (input.contains("CreationToken")) {
      if (const auto* record = c.catalog.find_by_token(context.account, input.at("CreationToken")))
        keys.push_back(record->id.str());
    } else {
      for (const auto& [id, record] : c.catalog.file_systems()) keys.push_back(id.str());
    }
    return write_page(keys, input, by_marker("FileSystems"),
                      [&](const std::string& key) { return describe(*c.catalog.find(FileSystemId(key)), c.catalog); });
  });
}

Outcome<Json> update_file_system(const Parts& parts, const CallContext&, const Json& input) {
  return parts.plane.with([&](Control& c) -> Outcome<Json> {
    const auto record = need_available(c.catalog, input.at("FileSystemId").get<std::string>());
    if (!record) return std::unexpected(record.error());
    auto changed = **record;
    if (!input.contains("ThroughputMode") && !input.contains("ProvisionedThroughputInMibps"))
      return refuse("BadRequest", "give a ThroughputMode, a ProvisionedThroughputInMibps or both");
    if (auto set = set_throughput(changed, input); !set) return std::unexpected(set.error());
    if (auto paced = check_pace(**record, changed, c.now); !paced) return std::unexpected(paced.error());
    auto json = describe(changed, c.catalog);
    c.catalog.put(std::move(changed));
    return json;
  });
}

Outcome<Json> delete_file_system(const Parts& parts, const CallContext&, const Json& input) {
  FileSystemId id;
  auto answer = parts.plane.with([&](Control& c) -> Outcome<Json> {
    const auto record = need_file_system(c.catalog, input.at("FileSystemId").get<std::string>());
    if (!record) return std::unexpected(record.error());
    id = (*record)->id;
    const auto targets = c.catalog.mount_targets_of(id).size();
    if (targets > 0)
      return refuse("FileSystemInUse",
                    fmt::format("File system '{}' has {} mount target(s): delete them first.", id.str(), targets));
    if ((*record)->replication || c.catalog.source_of(id) != nullptr)
      return refuse("FileSystemInUse",
                    fmt::format("File system '{}' is part of a replication configuration: delete that first.", id.str()));
    c.catalog.edit(id)->life_cycle = LifeCycle::deleting;
    return Json::object();
  });
  if (!answer) return answer;
  // The call stands even where the disk refuses: the file system stays `deleting`, and the next start tries again.
  if (auto removed = finish_removal(parts, id); !removed)
    log::error("file system not removed", {{"file_system", id.str()}, {"error", removed.error().message}});
  return answer;
}

void settle(const Parts& parts) {
  std::vector<FileSystemId> creating, deleting;
  parts.plane.read([&](const Control& c) {
    for (const auto& [id, record] : c.catalog.file_systems()) {
      if (record.life_cycle == LifeCycle::creating) creating.push_back(id);
      if (record.life_cycle == LifeCycle::deleting) deleting.push_back(id);
    }
  });
  const auto note = [](const FileSystemId& id, const Result<>& done) {
    if (!done) log::error("file system not settled", {{"file_system", id.str()}, {"error", done.error().message}});
  };
  for (const auto& id : creating) note(id, make_available(parts, id));
  for (const auto& id : deleting) note(id, finish_removal(parts, id));
}

void measure_sizes(const Parts& parts) {
  struct Asked {
    FileSystemId id;
    bool measured = false;
    std::set<std::string> roots;
  };
  std::vector<Asked> all;
  parts.plane.read([&](const Control& c) {
    for (const auto& [id, record] : c.catalog.file_systems()) {
      if (record.life_cycle != LifeCycle::available) continue;
      Asked& asked = all.emplace_back(Asked{id, record.size_measured.has_value(), {}});
      for (const auto* access_point : c.catalog.access_points_of(id)) asked.roots.insert(access_point->root);
    }
  });
  for (const auto& asked : all) {
    if (asked.measured && parts.may_have_changed && !parts.may_have_changed(asked.id)) continue;
    const auto sizes = parts.backing.measure(asked.id, asked.roots);
    if (!sizes) continue;
    parts.plane.apply([&](Control& c) {
      const auto* record = c.catalog.find(asked.id);
      if (record == nullptr) return;
      auto changed = *record;
      changed.size_bytes = sizes->total;
      changed.size_measured = c.now;
      c.catalog.put(std::move(changed));
    });
    if (parts.measured) parts.measured(asked.id, *sizes);
  }
}

}  // namespace berth::services::efs

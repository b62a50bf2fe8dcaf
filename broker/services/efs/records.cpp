#include "broker/services/efs/records.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace berth::services::efs {

using api::Json;
using api::Outcome;
using api::refuse;

namespace {

constexpr std::size_t kTagsMax = 50;

Json size_of(const fuse::FileSystemRecord& record) {
  Json size{{"Value", record.size_bytes}, {"ValueInIA", 0}, {"ValueInStandard", record.size_bytes}, {"ValueInArchive", 0}};
  // Without a Timestamp the size has not been measured yet, as EFS says it.
  if (record.size_measured) size["Timestamp"] = to_epoch_seconds(*record.size_measured);
  return size;
}

void name_from_tags(Json& json, const fuse::Tags& tags) {
  json["Tags"] = write_tags(tags);
  if (const auto name = tags.find("Name"); name != tags.end()) json["Name"] = name->second;
}

Json describe_identity(const fuse::PosixUser& user) {
  Json json{{"Uid", user.uid}, {"Gid", user.gid}};
  if (!user.secondary_gids.empty()) json["SecondaryGids"] = user.secondary_gids;
  return json;
}

}  // namespace

std::string bare_id(std::string_view id_or_arn) { return std::string(id_or_arn.substr(id_or_arn.rfind('/') + 1)); }

std::string make_id(Random& random, std::string_view prefix) { return std::string(prefix) + random.hex(17); }

Outcome<const fuse::FileSystemRecord*> need_file_system(const fuse::Catalog& catalog, std::string_view id_or_arn) {
  const auto* record = catalog.find(fuse::FileSystemId(bare_id(id_or_arn)));
  if (record == nullptr) return refuse("FileSystemNotFound", fmt::format("File system '{}' does not exist.", id_or_arn));
  return record;
}

Outcome<const fuse::FileSystemRecord*> need_available(const fuse::Catalog& catalog, std::string_view id_or_arn) {
  const auto record = need_file_system(catalog, id_or_arn);
  if (record && (*record)->life_cycle != fuse::LifeCycle::available)
    return refuse("IncorrectFileSystemLifeCycleState", fmt::format("File system '{}' is {}; it must be available for this.",
                                                                   id_or_arn, fuse::to_string((*record)->life_cycle)));
  return record;
}

Outcome<const fuse::MountTargetRecord*> need_mount_target(const fuse::Catalog& catalog, std::string_view id) {
  const auto* record = catalog.find(fuse::MountTargetId(std::string(id)));
  if (record == nullptr) return refuse("MountTargetNotFound", fmt::format("Mount target '{}' does not exist.", id));
  return record;
}

Outcome<const fuse::AccessPointRecord*> need_access_point(const fuse::Catalog& catalog, std::string_view id_or_arn) {
  const auto* record = catalog.find(fuse::AccessPointId(bare_id(id_or_arn)));
  if (record == nullptr) return refuse("AccessPointNotFound", fmt::format("Access point '{}' does not exist.", id_or_arn));
  return record;
}

Json describe(const fuse::FileSystemRecord& record, const fuse::Catalog& catalog) {
  Json json{{"OwnerId", record.owner},
            {"CreationToken", record.creation_token},
            {"FileSystemId", record.id.str()},
            {"FileSystemArn", record.arn},
            {"CreationTime", to_epoch_seconds(record.created)},
            {"LifeCycleState", fuse::to_string(record.life_cycle)},
            {"NumberOfMountTargets", catalog.mount_targets_of(record.id).size()},
            {"SizeInBytes", size_of(record)},
            {"PerformanceMode", record.performance_mode},
            {"ThroughputMode", record.throughput_mode},
            {"Encrypted", record.encrypted},
            {"FileSystemProtection", {{"ReplicationOverwriteProtection", fuse::to_string(record.overwrite_protection)}}}};
  if (!record.kms_key_id.empty()) json["KmsKeyId"] = record.kms_key_id;
  if (record.provisioned_mibps) json["ProvisionedThroughputInMibps"] = *record.provisioned_mibps;
  if (!record.zone.empty()) {
    json["AvailabilityZoneName"] = record.zone;
    json["AvailabilityZoneId"] = record.zone_id;
  }
  name_from_tags(json, record.tags);
  return json;
}

Json describe(const fuse::MountTargetRecord& record) {
  return {{"OwnerId", record.owner},
          {"MountTargetId", record.id.str()},
          {"FileSystemId", record.file_system.str()},
          {"SubnetId", record.subnet},
          {"LifeCycleState", fuse::to_string(record.life_cycle)},
          {"IpAddress", record.address},
          {"NetworkInterfaceId", record.interface},
          {"AvailabilityZoneId", record.zone_id},
          {"AvailabilityZoneName", record.zone},
          {"VpcId", record.vpc}};
}

Json describe(const fuse::AccessPointRecord& record) {
  Json root{{"Path", record.root}};
  if (record.creation)
    root["CreationInfo"] = {{"OwnerUid", record.creation->owner_uid},
                            {"OwnerGid", record.creation->owner_gid},
                            {"Permissions", fmt::format("{:04o}", record.creation->permissions)}};
  Json json{{"ClientToken", record.client_token},
            {"AccessPointId", record.id.str()},
            {"AccessPointArn", record.arn},
            {"FileSystemId", record.file_system.str()},
            {"RootDirectory", std::move(root)},
            {"OwnerId", record.owner},
            {"LifeCycleState", fuse::to_string(record.life_cycle)}};
  if (record.identity) json["PosixUser"] = describe_identity(*record.identity);
  name_from_tags(json, record.tags);
  return json;
}

Outcome<fuse::Tags> read_tags(const Json& input) {
  fuse::Tags tags;
  const auto list = input.find("Tags");
  if (list == input.end()) return tags;
  for (const auto& tag : *list) {
    const auto key = tag.at("Key").get<std::string>();
    if (key.starts_with("aws:"))
      return refuse("BadRequest", fmt::format("tag key `{}`: keys that begin with aws: are AWS's own", key));
    if (!tags.emplace(key, tag.at("Value").get<std::string>()).second)
      return refuse("BadRequest", fmt::format("tag key `{}` comes twice", key));
  }
  if (auto checked = check_tag_count(tags); !checked) return std::unexpected(checked.error());
  return tags;
}

Json write_tags(const fuse::Tags& tags) {
  auto list = Json::array();
  for (const auto& [key, value] : tags) list.push_back({{"Key", key}, {"Value", value}});
  return list;
}

Outcome<void> check_tag_count(const fuse::Tags& tags) {
  if (tags.size() > kTagsMax)
    return refuse("BadRequest", fmt::format("{} tags; a resource has at most {}", tags.size(), kTagsMax));
  return {};
}

}  // namespace berth::services::efs

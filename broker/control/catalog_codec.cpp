#include "broker/control/catalog_codec.hpp"

#include <nlohmann/json.hpp>

namespace berth::control {
namespace {

using Json = nlohmann::json;

std::int64_t to_micros(TimePoint time) { return time.time_since_epoch().count(); }
TimePoint from_micros(std::int64_t micros) { return TimePoint{std::chrono::microseconds{micros}}; }

template <class T>
void put_optional(Json& json, const char* name, const std::optional<T>& value) {
  if (value) json[name] = *value;
}

template <class T>
std::optional<T> get_optional(const Json& json, const char* name) {
  const auto found = json.find(name);
  return found == json.end() ? std::nullopt : std::optional<T>(found->template get<T>());
}

// A life cycle that this Berth does not know is a record that it can't serve.
fuse::LifeCycle life_cycle_of(const Json& json) {
  const auto text = json.at("life_cycle").get<std::string>();
  const auto life_cycle = fuse::parse_life_cycle(text);
  if (!life_cycle) throw std::invalid_argument("unknown life cycle `" + text + "`");
  return *life_cycle;
}

// As life_cycle_of().
template <class Enum, class Parse>
Enum parsed(const std::string& text, Parse parse) {
  const std::optional<Enum> value = parse(text);
  if (!value) throw std::invalid_argument("unknown `" + text + "`");
  return *value;
}

Json encode(const fuse::Replication& replication) {
  Json json{{"destination", replication.destination.str()},
            {"status", fuse::to_string(replication.status)},
            {"message", replication.message},
            {"role_arn", replication.role_arn},
            {"created", to_micros(replication.created)}};
  if (replication.last_replicated) json["last_replicated"] = to_micros(*replication.last_replicated);
  return json;
}

fuse::Replication decode_replication(const Json& json) {
  fuse::Replication replication;
  replication.destination = fuse::FileSystemId(json.at("destination"));
  replication.status = parsed<fuse::ReplicationStatus>(json.at("status"), fuse::parse_replication_status);
  replication.message = json.at("message");
  replication.role_arn = json.at("role_arn");
  replication.created = from_micros(json.at("created"));
  if (const auto last = get_optional<std::int64_t>(json, "last_replicated")) replication.last_replicated = from_micros(*last);
  return replication;
}

// What records of an older Berth lack is left as a new file system has it.
void decode_management(fuse::FileSystemRecord& record, const Json& json) {
  if (const auto rules = json.find("lifecycle"); rules != json.end())
    for (const auto& rule : *rules) record.lifecycle.push_back({rule.at("transition"), rule.at("when")});
  record.backup = get_optional<bool>(json, "backup");
  if (const auto protection = get_optional<std::string>(json, "overwrite_protection"))
    record.overwrite_protection = parsed<fuse::OverwriteProtection>(*protection, fuse::parse_overwrite_protection);
  if (const auto replication = json.find("replication"); replication != json.end())
    record.replication = decode_replication(*replication);
}

Json encode(const fuse::FileSystemRecord& record) {
  Json json{{"id", record.id.str()},
            {"arn", record.arn},
            {"owner", record.owner},
            {"creation_token", record.creation_token},
            {"created", to_micros(record.created)},
            {"life_cycle", fuse::to_string(record.life_cycle)},
            {"performance_mode", record.performance_mode},
            {"throughput_mode", record.throughput_mode},
            {"encrypted", record.encrypted},
            {"kms_key_id", record.kms_key_id},
            {"zone", record.zone},
            {"zone_id", record.zone_id},
            {"size_bytes", record.size_bytes},
            {"tags", record.tags}};
  put_optional(json, "provisioned_mibps", record.provisioned_mibps);
  put_optional(json, "policy", record.policy);
  put_optional(json, "backup", record.backup);
  json["overwrite_protection"] = fuse::to_string(record.overwrite_protection);
  for (const auto& rule : record.lifecycle) json["lifecycle"].push_back({{"transition", rule.transition}, {"when", rule.when}});
  if (record.replication) json["replication"] = encode(*record.replication);
  if (record.throughput_lowered) json["throughput_lowered"] = to_micros(*record.throughput_lowered);
  if (record.size_measured) json["size_measured"] = to_micros(*record.size_measured);
  return json;
}

fuse::FileSystemRecord decode_file_system(const Json& json) {
  fuse::FileSystemRecord record;
  record.id = fuse::FileSystemId(json.at("id"));
  record.arn = json.at("arn");
  record.owner = json.at("owner");
  record.creation_token = json.at("creation_token");
  record.created = from_micros(json.at("created"));
  record.life_cycle = life_cycle_of(json);
  record.performance_mode = json.at("performance_mode");
  record.throughput_mode = json.at("throughput_mode");
  record.encrypted = json.at("encrypted");
  record.kms_key_id = json.at("kms_key_id");
  record.zone = json.at("zone");
  record.zone_id = json.at("zone_id");
  record.size_bytes = json.at("size_bytes");
  record.tags = json.at("tags").get<fuse::Tags>();
  record.provisioned_mibps = get_optional<double>(json, "provisioned_mibps");
  if (const auto lowered = get_optional<std::int64_t>(json, "throughput_lowered"))
    record.throughput_lowered = from_micros(*lowered);
  record.policy = get_optional<std::string>(json, "policy");
  if (const auto measured = get_optional<std::int64_t>(json, "size_measured")) record.size_measured = from_micros(*measured);
  decode_management(record, json);
  return record;
}

Json encode(const fuse::MountTargetRecord& record) {
  return {{"id", record.id.str()},
          {"file_system", record.file_system.str()},
          {"owner", record.owner},
          {"life_cycle", fuse::to_string(record.life_cycle)},
          {"vpc", record.vpc},
          {"subnet", record.subnet},
          {"zone", record.zone},
          {"zone_id", record.zone_id},
          {"address", record.address},
          {"interface", record.interface},
          {"security_groups", record.security_groups}};
}

fuse::MountTargetRecord decode_mount_target(const Json& json) {
  fuse::MountTargetRecord record;
  record.id = fuse::MountTargetId(json.at("id"));
  record.file_system = fuse::FileSystemId(json.at("file_system"));
  record.owner = json.at("owner");
  record.life_cycle = life_cycle_of(json);
  record.vpc = json.at("vpc");
  record.subnet = json.at("subnet");
  record.zone = json.at("zone");
  record.zone_id = json.at("zone_id");
  record.address = json.at("address");
  record.interface = json.at("interface");
  record.security_groups = json.at("security_groups").get<std::vector<std::string>>();
  return record;
}

Json encode(const fuse::AccessPointRecord& record) {
  Json json{{"id", record.id.str()},
            {"arn", record.arn},
            {"file_system", record.file_system.str()},
            {"owner", record.owner},
            {"client_token", record.client_token},
            {"life_cycle", fuse::to_string(record.life_cycle)},
            {"root", record.root},
            {"tags", record.tags}};
  if (record.identity)
    json["identity"] = {
        {"uid", record.identity->uid}, {"gid", record.identity->gid}, {"secondary_gids", record.identity->secondary_gids}};
  if (record.creation)
    json["creation"] = {{"owner_uid", record.creation->owner_uid},
                        {"owner_gid", record.creation->owner_gid},
                        {"permissions", record.creation->permissions}};
  return json;
}

fuse::AccessPointRecord decode_access_point(const Json& json) {
  fuse::AccessPointRecord record;
  record.id = fuse::AccessPointId(json.at("id"));
  record.arn = json.at("arn");
  record.file_system = fuse::FileSystemId(json.at("file_system"));
  record.owner = json.at("owner");
  record.client_token = json.at("client_token");
  record.life_cycle = life_cycle_of(json);
  record.root = json.at("root");
  record.tags = json.at("tags").get<fuse::Tags>();
  if (const auto identity = json.find("identity"); identity != json.end())
    record.identity = fuse::PosixUser{identity->at("uid"), identity->at("gid"), identity->at("secondary_gids")};
  if (const auto creation = json.find("creation"); creation != json.end())
    record.creation = fuse::CreationInfo{creation->at("owner_uid"), creation->at("owner_gid"), creation->at("permissions")};
  return record;
}

template <class Record>
std::optional<std::string> encoded(const Record* record) {
  return record == nullptr ? std::nullopt : std::optional<std::string>(encode(*record).dump());
}

}  // namespace

std::optional<std::string> encode_catalog_record(const fuse::Catalog& catalog, const fuse::Catalog::Change& change) {
  if (change.kind == "file-system") return encoded(catalog.find(fuse::FileSystemId(change.key)));
  if (change.kind == "mount-target") return encoded(catalog.find(fuse::MountTargetId(change.key)));
  if (change.kind == "access-point") return encoded(catalog.find(fuse::AccessPointId(change.key)));
  return std::nullopt;
}

Result<> restore_catalog_record(fuse::Catalog& catalog, std::string_view kind, std::string_view text) {
  try {
    const auto json = Json::parse(text);
    if (kind == "file-system")
      catalog.restore(decode_file_system(json));
    else if (kind == "mount-target")
      catalog.restore(decode_mount_target(json));
    else if (kind == "access-point")
      catalog.restore(decode_access_point(json));
    else
      return fail(Code::invalid_argument, "`{}` is not a kind of the catalog", kind);
  } catch (const std::exception& problem) {
    return fail(Code::internal, "stored {}: {}", kind, problem.what());
  }
  return {};
}

bool is_catalog_kind(std::string_view kind) { return kind == "file-system" || kind == "mount-target" || kind == "access-point"; }

}  // namespace berth::control

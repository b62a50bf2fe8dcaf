#include <fmt/format.h>

#include <string_view>

#include <nlohmann/json.hpp>

#include "broker/control/control_plane.hpp"
#include "broker/services/efs/operations.hpp"
#include "broker/services/efs/page.hpp"
#include "broker/services/efs/records.hpp"

namespace berth::services::efs {

using api::refuse;
using control::Control;
using fuse::AccessPointId;
using fuse::AccessPointRecord;

namespace {

constexpr std::size_t kAccessPointsMax = 10'000;  // of a file system
constexpr std::size_t kPathDepthMax = 4;

// `/`, or up to four names. `.` and `..` are not names: the root must say where it is.
bool is_root_path(std::string_view path) {
  if (path == "/") return true;
  if (!path.starts_with('/')) return false;
  std::size_t depth = 0;
  for (auto rest = path; !rest.empty(); ++depth) {
    rest.remove_prefix(1);
    const auto name = rest.substr(0, rest.find('/'));
    if (name.empty() || name == "." || name == "..") return false;
    if (name.find_first_of("$#<>;`|&?{}^*\n") != name.npos) return false;
    rest.remove_prefix(name.size());
  }
  return depth <= kPathDepthMax;
}

fuse::PosixUser read_identity(const Json& json) {
  return {json.at("Uid").get<uid_t>(), json.at("Gid").get<gid_t>(), json.value("SecondaryGids", std::vector<gid_t>{})};
}

fuse::CreationInfo read_creation(const Json& json) {
  return {json.at("OwnerUid").get<uid_t>(), json.at("OwnerGid").get<gid_t>(),
          static_cast<mode_t>(std::stoul(json.at("Permissions").get<std::string>(), nullptr, 8))};
}

Outcome<void> read_root(AccessPointRecord& record, const Json& input) {
  const auto directory = input.find("RootDirectory");
  if (directory == input.end()) return {};
  record.root = directory->value("Path", record.root);
  if (!is_root_path(record.root))
    return refuse("BadRequest", fmt::format("RootDirectory Path `{}` is not / or one to {} names, none of them . or ..",
                                            record.root, kPathDepthMax));
  if (const auto creation = directory->find("CreationInfo"); creation != directory->end())
    record.creation = read_creation(*creation);
  return {};
}

api::ApiError already_exists(const AccessPointRecord& record) {
  return {"AccessPointAlreadyExists",
          fmt::format("Access point '{}' already exists with client token '{}'", record.id.str(), record.client_token),
          std::make_shared<const Json>(Json{{"AccessPointId", record.id.str()}})};
}

Outcome<AccessPointRecord> decide_access_point(const CallContext& context, const Json& input, Control& c) {
  const auto file_system = need_available(c.catalog, input.at("FileSystemId").get<std::string>());
  if (!file_system) return std::unexpected(file_system.error());
  const auto token = input.at("ClientToken").get<std::string>();
  if (const auto* there = c.catalog.find_access_point_by_token(context.account, token))
    return std::unexpected(already_exists(*there));
  if (c.catalog.access_points_of((*file_system)->id).size() >= kAccessPointsMax)
    return refuse("AccessPointLimitExceeded", fmt::format("a file system has at most {} access points", kAccessPointsMax));

  AccessPointRecord record;
  record.file_system = (*file_system)->id;
  record.owner = context.account;
  record.client_token = token;
  record.life_cycle = fuse::LifeCycle::available;
  if (auto read = read_root(record, input); !read) return std::unexpected(read.error());
  if (const auto identity = input.find("PosixUser"); identity != input.end()) record.identity = read_identity(*identity);
  auto tags = read_tags(input);
  if (!tags) return std::unexpected(tags.error());
  record.tags = std::move(*tags);
  record.id = AccessPointId(make_id(c.random, "fsap-"));
  record.arn =
      fmt::format("arn:aws:elasticfilesystem:{}:{}:access-point/{}", c.cluster.settings().region, record.owner, record.id.str());
  return record;
}

}  // namespace

Outcome<Json> create_access_point(const Parts& parts, const CallContext& context, const Json& input) {
  return parts.plane.with([&](Control& c) -> Outcome<Json> {
    auto record = decide_access_point(context, input, c);
    if (!record) return std::unexpected(record.error());
    auto json = describe(*record);
    json["LifeCycleState"] = "creating";  // as EFS answers it; the next Describe* says `available`
    c.catalog.put(std::move(*record));
    return json;
  });
}

Outcome<Json> describe_access_points(const Parts& parts, const CallContext&, const Json& input) {
  if (input.contains("AccessPointId") && input.contains("FileSystemId"))
    return refuse("BadRequest", "give either AccessPointId or FileSystemId, not both");
  return parts.plane.read([&](const Control& c) -> Outcome<Json> {
    std::vector<std::string> keys;
    if (input.contains("AccessPointId")) {
      const auto record = need_access_point(c.catalog, input.at("AccessPointId").get<std::string>());
      if (!record) return std::unexpected(record.error());
      keys.push_back((*record)->id.str());
    } else if (input.contains("FileSystemId")) {
      const auto file_system = need_file_system(c.catalog, input.at("FileSystemId").get<std::string>());
      if (!file_system) return std::unexpected(file_system.error());
      for (const auto* record : c.catalog.access_points_of((*file_system)->id)) keys.push_back(record->id.str());
    } else {
      for (const auto& [id, record] : c.catalog.access_points()) keys.push_back(id.str());
    }
    return write_page(keys, input, by_token("AccessPoints"),
                      [&](const std::string& key) { return describe(*c.catalog.find(AccessPointId(key))); });
  });
}

Outcome<Json> delete_access_point(const Parts& parts, const CallContext&, const Json& input) {
  auto answer = parts.plane.with([&](Control& c) -> Outcome<Json> {
    const auto record = need_access_point(c.catalog, input.at("AccessPointId").get<std::string>());
    if (!record) return std::unexpected(record.error());
    const auto id = (*record)->id;
    c.catalog.erase(id);
    return Json::object();
  });
  if (answer && parts.access_changed) parts.access_changed();
  return answer;
}

}  // namespace berth::services::efs

#include "credentials/identities_codec.hpp"

#include <nlohmann/json.hpp>

namespace berth::credentials {

namespace {

using Json = nlohmann::json;

constexpr int kFormat = 1;

std::int64_t micros(TimePoint time) { return time.time_since_epoch().count(); }
TimePoint time_at(const Json& json, const char* key) {
  return TimePoint(std::chrono::microseconds(json.at(key).get<std::int64_t>()));
}

Json documents(const std::map<std::string, PolicyPtr>& policies) {
  Json json = Json::object();
  for (const auto& [name, policy] : policies) json[name] = policy->document();
  return json;
}

// Only inside restore(): an unreadable policy is an exception there, like every other damage.
PolicyPtr policy_from(const Json& json, PolicyKind kind) {
  auto policy = Policy::parse(json.get<std::string>(), kind);
  if (!policy) throw std::runtime_error(policy.error().message);
  return *std::move(policy);
}

std::map<std::string, PolicyPtr> policies_from(const Json& json) {
  std::map<std::string, PolicyPtr> policies;
  for (const auto& [name, document] : json.items()) policies.emplace(name, policy_from(document, PolicyKind::identity));
  return policies;
}

// What all four kinds have.
template <class T>
Json common_to_json(const T& record) {
  return {{"format", kFormat},  {"name", record.name}, {"path", record.path},
          {"id", record.id},    {"arn", record.arn},   {"created", micros(record.created)},
          {"tags", record.tags}};
}

template <class T>
T common_from_json(const Json& json) {
  if (json.at("format") != kFormat) throw std::runtime_error("a format of another version");
  T record;
  json.at("name").get_to(record.name);
  json.at("path").get_to(record.path);
  json.at("id").get_to(record.id);
  json.at("arn").get_to(record.arn);
  record.created = time_at(json, "created");
  json.at("tags").get_to(record.tags);
  return record;
}

Json to_json(const User& user) {
  Json json = common_to_json(user);
  json["access_keys"] = Json::array();
  for (const auto& [id, key] : user.access_keys) {
    json["access_keys"].push_back(
        {{"id", id}, {"secret", std::string(key.secret.reveal())}, {"active", key.active}, {"created", micros(key.created)}});
  }
  json["inline_policies"] = documents(user.inline_policies);
  json["attached_policies"] = user.attached_policies;
  json["permissions_boundary"] = user.permissions_boundary;
  return json;
}

User user_from(const Json& json) {
  auto user = common_from_json<User>(json);
  for (const auto& key : json.at("access_keys")) {
    auto id = key.at("id").get<std::string>();
    user.access_keys.emplace(
        id, AccessKey{id, Secret(key.at("secret").get<std::string>()), key.at("active").get<bool>(), time_at(key, "created")});
  }
  user.inline_policies = policies_from(json.at("inline_policies"));
  json.at("attached_policies").get_to(user.attached_policies);
  json.at("permissions_boundary").get_to(user.permissions_boundary);
  return user;
}

Json to_json(const Role& role) {
  Json json = common_to_json(role);
  json["description"] = role.description;
  json["max_session_seconds"] = role.max_session_duration.count();
  json["trust_policy"] = role.trust_policy->document();
  json["inline_policies"] = documents(role.inline_policies);
  json["attached_policies"] = role.attached_policies;
  json["permissions_boundary"] = role.permissions_boundary;
  json["revoked_before"] = micros(role.revoked_before);
  return json;
}

Role role_from(const Json& json) {
  auto role = common_from_json<Role>(json);
  json.at("description").get_to(role.description);
  role.max_session_duration = std::chrono::seconds(json.at("max_session_seconds").get<std::int64_t>());
  role.trust_policy = policy_from(json.at("trust_policy"), PolicyKind::trust);
  role.inline_policies = policies_from(json.at("inline_policies"));
  json.at("attached_policies").get_to(role.attached_policies);
  json.at("permissions_boundary").get_to(role.permissions_boundary);
  role.revoked_before = time_at(json, "revoked_before");
  return role;
}

Json to_json(const ManagedPolicy& policy) {
  Json json = common_to_json(policy);
  json["description"] = policy.description;
  json["updated"] = micros(policy.updated);
  json["default_version"] = policy.default_version;
  json["next_version"] = policy.next_version;
  json["versions"] = Json::array();
  for (const auto& [number, version] : policy.versions) {
    json["versions"].push_back(
        {{"number", number}, {"created", micros(version.created)}, {"document", version.policy->document()}});
  }
  return json;
}

ManagedPolicy policy_record_from(const Json& json) {
  auto policy = common_from_json<ManagedPolicy>(json);
  json.at("description").get_to(policy.description);
  policy.updated = time_at(json, "updated");
  json.at("default_version").get_to(policy.default_version);
  json.at("next_version").get_to(policy.next_version);
  for (const auto& version : json.at("versions")) {
    policy.versions.emplace(
        version.at("number").get<int>(),
        PolicyVersion{policy_from(version.at("document"), PolicyKind::identity), time_at(version, "created")});
  }
  if (!policy.versions.contains(policy.default_version)) throw std::runtime_error("the default version is missing");
  return policy;
}

Json to_json(const InstanceProfile& profile) {
  Json json = common_to_json(profile);
  json["role"] = profile.role;
  return json;
}

InstanceProfile profile_from(const Json& json) {
  auto profile = common_from_json<InstanceProfile>(json);
  json.at("role").get_to(profile.role);
  return profile;
}

template <class T>
std::optional<std::string> encode_record(const T* record) {
  if (!record) return std::nullopt;
  // Descriptions are the user's: bytes that are not UTF-8 must not end the daemon.
  return to_json(*record).dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::optional<std::string> encode(const Identities& identities, const Change& change) {
  if (change.kind == kUserKind) return encode_record(identities.find_user(change.key));
  if (change.kind == kRoleKind) return encode_record(identities.find_role(change.key));
  if (change.kind == kPolicyKind) return encode_record(identities.find_policy(change.key));
  if (change.kind == kInstanceProfileKind) return encode_record(identities.find_instance_profile(change.key));
  return std::nullopt;
}

Result<> restore(Identities& identities, std::string_view kind, std::string_view key, std::string_view text) {
  try {
    const Json json = Json::parse(text);
    if (kind == kUserKind)
      identities.restore(user_from(json));
    else if (kind == kRoleKind)
      identities.restore(role_from(json));
    else if (kind == kPolicyKind)
      identities.restore(policy_record_from(json));
    else if (kind == kInstanceProfileKind)
      identities.restore(profile_from(json));
    else
      return fail(Code::invalid_argument, "`{}` is not a kind of identity record", kind);
    return {};
  } catch (const std::exception& error) {
    return fail(Code::invalid_argument, "the record `{}` `{}` is damaged: {}", kind, key, error.what());
  }
}

}  // namespace berth::credentials

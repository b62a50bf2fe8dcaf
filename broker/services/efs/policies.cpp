// File system policies: checked when they are put, kept as they came.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "broker/base/json_depth.hpp"
#include "broker/control/control_plane.hpp"
#include "broker/services/efs/operations.hpp"
#include "broker/services/efs/records.hpp"
#include "credentials/authorization.hpp"
#include "credentials/policy/policy.hpp"

namespace berth::services::efs {

using api::refuse;
using control::Control;
using fuse::FileSystemRecord;

namespace {

constexpr std::string_view kActionPrefix = "elasticfilesystem:";

Json as_list(const Json& one_or_many) { return one_or_many.is_array() ? one_or_many : Json::array({one_or_many}); }

bool is_action(const Json& action) {
  return action.is_string() && (action == "*" || action.get_ref<const std::string&>().starts_with(kActionPrefix));
}

// A file system policy speaks of its own file system: `*`, its ARN, or an access point of it by condition only.
bool is_resource(const Json& resource, const std::string& arn) { return resource == "*" || resource == arn; }

Outcome<void> check_statement(Json& statement, const std::string& arn) {
  if (!statement.is_object()) return refuse("InvalidPolicyException", "a statement is not an object");
  for (const char* member : {"Action", "NotAction"})
    if (const auto actions = statement.find(member); actions != statement.end())
      for (const auto& action : as_list(*actions))
        if (!is_action(action))
          return refuse("InvalidPolicyException",
                        fmt::format("{} {}: a file system policy decides elasticfilesystem: actions", member, action.dump()));
  for (const char* member : {"Resource", "NotResource"})
    if (const auto resources = statement.find(member); resources != statement.end())
      for (const auto& resource : as_list(*resources))
        if (!is_resource(resource, arn))
          return refuse("InvalidPolicyException",
                        fmt::format("{} {}: must be the file system's own ARN, {}", member, resource.dump(), arn));
  // EFS lets the resource out: it can only be this one, and is filled in.
  if (!statement.contains("Resource") && !statement.contains("NotResource")) statement["Resource"] = arn;
  return {};
}

// The policy as it is kept. The order of members does not survive, as it doesn't with EFS.
Outcome<std::string> checked(const std::string& document, const std::string& arn) {
  if (nests_deeper(document)) return refuse("InvalidPolicyException", "the policy nests too deep");
  auto json = Json::parse(document, nullptr, false);
  if (json.is_discarded() || !json.is_object() || !json.contains("Statement"))
    return refuse("InvalidPolicyException", "the policy is not a JSON object with a Statement");
  if (!json["Statement"].is_array()) json["Statement"] = Json::array({json["Statement"]});
  for (auto& statement : json["Statement"])
    if (auto good = check_statement(statement, arn); !good) return std::unexpected(good.error());
  auto text = json.dump();
  if (const auto parsed = credentials::Policy::parse(text, credentials::PolicyKind::resource); !parsed)
    return refuse("InvalidPolicyException", parsed.error().message);
  return text;
}

// The safety check: who puts the policy must be able to put the next one.
bool locks_out(const CallContext& context, const FileSystemRecord& record, const std::string& policy, const Control& c) {
  credentials::AccessRequest request{.principal = context.caller,
                                     .action = "elasticfilesystem:PutFileSystemPolicy",
                                     .resource = record.arn,
                                     .resource_policy = policy,
                                     .now = context.now};
  request.conditions.emplace("aws:SecureTransport", "true");
  return credentials::authorize(*c.identities, request).reason == credentials::Decision::Reason::explicitly_denied;
}

Json describe_policy(const FileSystemRecord& record) { return {{"FileSystemId", record.id.str()}, {"Policy", *record.policy}}; }

}  // namespace

Outcome<Json> put_file_system_policy(const Parts& parts, const CallContext& context, const Json& input) {
  auto answer = parts.plane.with([&](Control& c) -> Outcome<Json> {
    const auto record = need_available(c.catalog, input.at("FileSystemId").get<std::string>());
    if (!record) return std::unexpected(record.error());
    auto policy = checked(input.at("Policy"), (*record)->arn);
    if (!policy) return std::unexpected(policy.error());
    if (!input.value("BypassPolicyLockoutSafetyCheck", false) && locks_out(context, **record, *policy, c))
      return refuse("InvalidPolicyException",
                    "the policy would lock you out: it denies you PutFileSystemPolicy (BypassPolicyLockoutSafetyCheck puts it "
                    "all the same)");
    auto& changed = *c.catalog.edit((*record)->id);
    changed.policy = std::move(*policy);
    return describe_policy(changed);
  });
  if (answer && parts.access_changed) parts.access_changed();
  return answer;
}

Outcome<Json> describe_file_system_policy(const Parts& parts, const CallContext&, const Json& input) {
  return parts.plane.read([&](const Control& c) -> Outcome<Json> {
    const auto record = need_file_system(c.catalog, input.at("FileSystemId").get<std::string>());
    if (!record) return std::unexpected(record.error());
    if (!(*record)->policy) return refuse("PolicyNotFound", fmt::format("File system '{}' has no policy.", (*record)->id.str()));
    return describe_policy(**record);
  });
}

Outcome<Json> delete_file_system_policy(const Parts& parts, const CallContext&, const Json& input) {
  auto answer = parts.plane.with([&](Control& c) -> Outcome<Json> {
    const auto record = need_available(c.catalog, input.at("FileSystemId").get<std::string>());
    if (!record) return std::unexpected(record.error());
    c.catalog.edit((*record)->id)->policy.reset();
    return Json::object();
  });
  if (answer && parts.access_changed) parts.access_changed();
  return answer;
}

}  // namespace berth::services::efs

#include "broker/services/iam/support.hpp"

#include <algorithm>

#include "broker/base/arn.hpp"
#include "broker/base/encoding.hpp"
#include "credentials/policy/statement.hpp"

namespace berth::services::iam {

namespace {

constexpr std::size_t kTagsMax = 50;
constexpr std::size_t kPageDefault = 100;

std::string_view code_name(Code code) {
  switch (code) {
    case Code::not_found: return "NoSuchEntity";
    case Code::already_exists: return "EntityAlreadyExists";
    case Code::failed_precondition: return "DeleteConflict";
    case Code::resource_exhausted: return "LimitExceeded";
    case Code::permission_denied: return "AccessDenied";
    case Code::invalid_argument: return "InvalidInput";
    default: return "ServiceFailure";
  }
}

// A principal of this account must exist; of other accounts Berth knows nothing.
bool exists(const Identities& identities, const credentials::PrincipalEntry& entry) {
  if (entry.kind != credentials::PrincipalEntry::Kind::arn) return true;
  const auto arn = parse_arn(entry.value);
  if (!arn || arn->account != identities.account()) return true;
  if (arn->service == "sts") {
    const auto role = std::string_view(arn->resource).substr(arn->resource.find('/') + 1);
    return identities.find_role(role.substr(0, role.find('/'))) != nullptr;
  }
  if (arn->resource.starts_with("role/")) return identities.find_role_by_arn(entry.value) != nullptr;
  const auto* user = identities.find_user(std::string_view(entry.value).substr(entry.value.rfind('/') + 1));
  return user && user->arn == entry.value;
}

}  // namespace

api::ApiError api_error(const Error& error) { return {std::string(code_name(error.code)), error.message, nullptr}; }

std::unexpected<api::ApiError> no_such_entity(std::string message) { return refuse("NoSuchEntity", std::move(message)); }

Outcome<Json> done(const Result<>& result) {
  if (!result) return std::unexpected(api_error(result.error()));
  return Json::object();
}

std::size_t counted_size(std::string_view document) {
  return static_cast<std::size_t>(
      std::ranges::count_if(document, [](char c) { return c != ' ' && c != '\t' && c != '\n' && c != '\r'; }));
}

Outcome<credentials::PolicyPtr> parse_identity_policy(const std::string& document) {
  auto policy = credentials::Policy::parse(document, credentials::PolicyKind::identity);
  if (!policy) return refuse("MalformedPolicyDocument", policy.error().message);
  return *std::move(policy);
}

Outcome<credentials::PolicyPtr> parse_trust_policy(const Identities& identities, const std::string& document) {
  auto policy = credentials::Policy::parse(document, credentials::PolicyKind::trust);
  if (!policy) return refuse("MalformedPolicyDocument", policy.error().message);
  for (const auto& statement : (*policy)->statements()) {
    for (const auto& entry : statement.principals) {
      if (!exists(identities, entry))
        return refuse("MalformedPolicyDocument", "Invalid principal in policy: \"AWS\":\"" + entry.text + "\"");
    }
  }
  return *std::move(policy);
}

std::string wire_document(const credentials::Policy& policy) { return percent_encode(policy.document()); }

Outcome<credentials::Tags> read_tags(const Json& input) {
  credentials::Tags tags;
  if (!input.contains("Tags")) return tags;
  for (const auto& tag : input["Tags"]) {
    const auto key = tag.at("Key").get<std::string>();
    if (key.starts_with("aws:")) return refuse("InvalidInput", "User provided tag keys must not start with aws:.");
    if (!tags.emplace(key, tag.value("Value", "")).second) {
      return refuse("InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.");
    }
  }
  return tags;
}

Outcome<Json> merge_tags(credentials::Tags& tags, const Json& input, std::string_view quota) {
  const auto given = read_tags(input);
  if (!given) return std::unexpected(given.error());
  for (const auto& [key, value] : *given) tags.insert_or_assign(key, value);
  if (tags.size() > kTagsMax) return refuse("LimitExceeded", fmt::format("Cannot exceed quota for {}: {}", quota, kTagsMax));
  return Json::object();
}

Json tags_json(const credentials::Tags& tags) {
  Json list = Json::array();
  for (const auto& [key, value] : tags) list.push_back({{"Key", key}, {"Value", value}});
  return list;
}

Outcome<std::string> read_boundary(const Identities& identities, const Json& input) {
  const auto arn = input.value("PermissionsBoundary", "");
  if (!arn.empty() && !identities.find_policy(arn))
    return no_such_entity("Scope ARN: " + arn + " does not exist or is not attachable.");
  return arn;
}

// The marker is the key of the last item of the page before, so that items that come or go between two calls do no harm.
Outcome<Json> page(const Items& items, const char* member, const Json& input) {
  auto from = items.begin();
  if (input.contains("Marker")) {
    const auto after = base64_decode(input["Marker"].get<std::string>());
    if (!after) return refuse("ValidationError", "Invalid Marker.");
    from = std::ranges::upper_bound(items, *after, {}, [](const auto& item) -> const std::string& { return item.first; });
  }
  const auto size = std::min(static_cast<std::ptrdiff_t>(input.value("MaxItems", kPageDefault)), items.end() - from);
  Json answer = {{member, Json::array()}, {"IsTruncated", from + size != items.end()}};
  for (auto item = from; item != from + size; ++item) answer[member].push_back(item->second);
  if (from + size != items.end()) answer["Marker"] = base64_encode((from + size - 1)->first);
  return answer;
}

}  // namespace berth::services::iam

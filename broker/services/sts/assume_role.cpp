#include <chrono>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "broker/base/arn.hpp"
#include "broker/services/sts/operations.hpp"
#include "credentials/sts/assume_role.hpp"

namespace berth::services::sts {

namespace {

using credentials::Identities;

constexpr std::chrono::seconds kChainedSessionMax{3600};
constexpr std::size_t kPackedBytesMax = 2048;

// What the caller asked of the session: policies and tags, and how much of their room they take.
struct Narrowing {
  std::vector<std::string> policies;
  std::map<std::string, std::string> tags;
  std::size_t bytes = 0;
};

// Refused with its reason, never ignored: a session without what was asked would be wider than the caller thinks.
Outcome<Json> refuse_unbuilt(const Json& input) {
  for (const auto* member : {"SerialNumber", "TokenCode", "SourceIdentity", "TransitiveTagKeys", "ProvidedContexts"}) {
    if (input.contains(member) && !(input[member].is_array() && input[member].empty())) {
      return refuse("ValidationError", fmt::format("{} is not built in Berth yet", member));
    }
  }
  return Json::object();
}

std::multimap<std::string, std::string> conditions_of(const Json& input) {
  std::multimap<std::string, std::string> conditions = {{"sts:RoleSessionName", input.at("RoleSessionName").get<std::string>()}};
  if (input.contains("ExternalId")) conditions.emplace("sts:ExternalId", input["ExternalId"].get<std::string>());
  if (!input.contains("Tags")) return conditions;
  for (const auto& tag : input["Tags"]) {
    conditions.emplace("aws:RequestTag/" + tag.at("Key").get<std::string>(), tag.value("Value", ""));
    conditions.emplace("aws:TagKeys", tag.at("Key").get<std::string>());
  }
  return conditions;
}

Outcome<Narrowing> read_narrowing(const Identities& identities, const Json& input) {
  Narrowing narrowing;
  if (input.contains("Policy")) {
    const auto document = input["Policy"].get<std::string>();
    const auto policy = credentials::Policy::parse(document, credentials::PolicyKind::identity);
    if (!policy) return refuse("MalformedPolicyDocument", policy.error().message);
    narrowing.policies.push_back(document);
    narrowing.bytes += document.size();
  }
  const Json arns = input.value("PolicyArns", Json::array());
  for (const auto& item : arns) {
    const auto arn = item.value("arn", "");
    if (!identities.find_policy(arn)) return refuse("ValidationError", fmt::format("The managed policy {} does not exist", arn));
    narrowing.policies.push_back(arn);  // the token stays small: the document is looked up
    narrowing.bytes += arn.size();
  }
  const Json tags = input.value("Tags", Json::array());
  for (const auto& tag : tags) {
    const auto key = tag.at("Key").get<std::string>();
    if (!narrowing.tags.emplace(key, tag.value("Value", "")).second) {
      return refuse("InvalidParameterValue", "Duplicate tag keys found. Please note that Tag keys are case insensitive.");
    }
    narrowing.bytes += key.size() + narrowing.tags[key].size();
  }
  if (narrowing.bytes > kPackedBytesMax) {
    return refuse("PackedPolicyTooLarge",
                  fmt::format("PackedPolicySize: {} percent of the allowed size", narrowing.bytes * 100 / kPackedBytesMax));
  }
  return narrowing;
}

Outcome<std::chrono::seconds> read_duration(const credentials::Role& role, const CallContext& context, const Json& input) {
  const std::chrono::seconds wanted(input.value("DurationSeconds", 3600));
  if (context.caller.kind == credentials::Principal::Kind::assumed_role && wanted > kChainedSessionMax) {
    return refuse("ValidationError",
                  "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining");
  }
  if (wanted > role.max_session_duration) {
    return refuse("ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.");
  }
  return wanted;
}

// A role that does not exist answers as one that may not be assumed: who may not look learns nothing.
Outcome<const credentials::Role*> authorized_role(const Identities& identities, const CallContext& context, const Json& input,
                                                  const Narrowing& narrowing) {
  credentials::AssumeRoleRequest request;
  request.principal = context.caller;
  request.role_arn = input.at("RoleArn");
  request.conditions = conditions_of(input);
  request.tags = narrowing.tags;
  request.now = context.now;
  const auto decision = credentials::authorize_assume_role(identities, request);
  if (decision.allowed()) return identities.find_role_by_arn(request.role_arn);
  // AWS says no more than this to whoever may not: the trust policy is not theirs to read.
  return refuse("AccessDenied", fmt::format("User: {} is not authorized to perform: sts:AssumeRole on resource: {}",
                                            context.caller.arn, request.role_arn));
}

Outcome<Json> check_arn(const Json& input) {
  const auto text = input.at("RoleArn").get<std::string>();
  const auto arn = parse_arn(text);
  if (!arn || arn->service != "iam" || !arn->resource.starts_with("role/"))
    return refuse("ValidationError", text + " is invalid");
  return Json::object();
}

}  // namespace

Outcome<std::vector<api::ResourceAccess>> assumed_role(const Parts& parts, const CallContext&, const Json& input) {
  if (auto valid = check_arn(input); !valid) return std::unexpected(valid.error());
  const auto identities = parts.plane.identities();
  api::ResourceAccess access;
  access.arn = input.at("RoleArn");
  access.conditions = conditions_of(input);
  if (const auto* role = identities->find_role_by_arn(access.arn)) {
    access.resource_policy = role->trust_policy->document();
    for (const auto& [key, value] : role->tags) access.conditions.emplace("aws:ResourceTag/" + key, value);
  }
  return std::vector{std::move(access)};
}

Outcome<Json> assume_role(const Parts& parts, const CallContext& context, const Json& input) {
  if (auto built = refuse_unbuilt(input); !built) return built;
  const auto identities = parts.plane.identities();
  const auto narrowing = read_narrowing(*identities, input);
  if (!narrowing) return std::unexpected(narrowing.error());
  const auto role = authorized_role(*identities, context, input, *narrowing);
  if (!role) return std::unexpected(role.error());
  const auto duration = read_duration(**role, context, input);
  if (!duration) return std::unexpected(duration.error());

  auto session = credentials::role_session(*identities, **role, input.at("RoleSessionName"));
  session.session_policies = narrowing->policies;
  session.session_tags = narrowing->tags;
  const Json who = {{"AssumedRoleId", session.unique_id}, {"Arn", session.arn}};
  const auto issued = parts.tokens.issue(std::move(session), *duration, context.now, parts.random);
  Json answer = {{"Credentials", credentials_json(issued)}, {"AssumedRoleUser", who}};
  if (narrowing->bytes > 0) answer["PackedPolicySize"] = narrowing->bytes * 100 / kPackedBytesMax;
  return answer;
}

}  // namespace berth::services::sts

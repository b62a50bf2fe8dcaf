#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "broker/services/sts/operations.hpp"
#include "credentials/authenticate.hpp"

namespace berth::services::sts {

namespace {

constexpr int kSessionDefaultSeconds = 12 * 3600;

}  // namespace

Json credentials_json(const credentials::TemporaryCredentials& credentials) {
  return {{"AccessKeyId", credentials.access_key_id},
          {"SecretAccessKey", std::string(credentials.secret.reveal())},
          {"SessionToken", credentials.token},
          {"Expiration", to_epoch_seconds(credentials.expiration)}};
}

Outcome<Json> get_caller_identity(const Parts&, const CallContext& context, const Json&) {
  return Json{{"UserId", context.caller.unique_id}, {"Account", context.caller.account}, {"Arn", context.caller.arn}};
}

Outcome<Json> get_session_token(const Parts& parts, const CallContext& context, const Json& input) {
  for (const auto* member : {"SerialNumber", "TokenCode"}) {
    if (input.contains(member)) return refuse("ValidationError", fmt::format("{} is not built in Berth yet", member));
  }
  const bool long_term =
      context.caller.kind == credentials::Principal::Kind::user && !credentials::is_user_session(context.caller);
  if (!long_term) return refuse("AccessDenied", "Cannot call GetSessionToken with session credentials");
  const std::chrono::seconds duration(input.value("DurationSeconds", kSessionDefaultSeconds));
  return Json{{"Credentials", credentials_json(parts.tokens.issue(context.caller, duration, context.now, parts.random))}};
}

// Session keys are not kept anywhere, so only long-term keys can be told.
Outcome<Json> get_access_key_info(const Parts& parts, const CallContext& context, const Json& input) {
  const auto id = input.at("AccessKeyId").get<std::string>();
  const bool own = id == context.caller.access_key_id;
  if (!own && !parts.plane.identities()->find_access_key(id))
    return refuse("ValidationError", "The Access Key with id " + id + " is not known to Berth");
  return Json{{"Account", parts.plane.account()}};
}

}  // namespace berth::services::sts

#include "broker/services/sts/service.hpp"

#include <nlohmann/json.hpp>

#include "broker/services/sts/operations.hpp"

namespace berth::services::sts {

api::Service make_sts(control::ControlPlane& plane, const credentials::SessionTokens& tokens, Random& random) {
  const Parts parts{plane, tokens, random};
  const auto row = [&parts](const char* name, const api::ResourcesOf& resources, Operation* operation) {
    return api::Operation{
        name, std::string("sts:") + name, resources,
        [parts, operation](const CallContext& context, const Json& input) { return operation(parts, context, input); }};
  };
  const auto role = [parts](const CallContext& context, const Json& input) { return assumed_role(parts, context, input); };
  // Whoever has valid credentials may ask who they are, even against a Deny.
  auto whoami = row("GetCallerIdentity", api::any_resource(), get_caller_identity);
  whoami.needs_no_permission = true;
  auto session = row("GetSessionToken", api::any_resource(), get_session_token);
  session.needs_no_permission = true;
  return {
      .model = "sts",
      .signing_names = {"sts"},
      .operations = {row("AssumeRole", role, assume_role), std::move(whoami), std::move(session),
                     row("GetAccessKeyInfo", api::any_resource(), get_access_key_info)},
  };
}

}  // namespace berth::services::sts

#include "broker/api/credentials_gate.hpp"

#include "credentials/authorization.hpp"

namespace berth::api {

Authenticator authenticate_with(IdentitiesNow identities, const credentials::SessionTokens& tokens) {
  return [identities = std::move(identities), &tokens](const http::Request& request, TimePoint now) {
    const credentials::SignedRequest signed_request{.method = request.method,
                                                    .path = request.path(),
                                                    .query = request.query(),
                                                    .headers = request.headers,
                                                    .body = request.body,
                                                    .body_sha256 = std::nullopt};
    return credentials::authenticate(*identities(), tokens, signed_request, credentials::VerifyOptions{}, now);
  };
}

Authorizer authorize_with(IdentitiesNow identities) {
  return [identities = std::move(identities)](const CallContext& context, const std::string& action,
                                              const ResourceAccess& access) -> std::optional<std::string> {
    credentials::AccessRequest request;
    request.principal = context.caller;
    request.action = action;
    request.resource = access.arn;
    request.conditions = access.conditions;
    request.conditions.emplace("aws:SecureTransport", context.secure_transport ? "true" : "false");
    request.conditions.emplace("aws:RequestedRegion", context.region);
    // A Unix socket has no address: policies that ask for one don't match.
    if (!context.source_ip.empty() && context.source_ip != "unix") request.conditions.emplace("aws:SourceIp", context.source_ip);
    if (!context.user_agent.empty()) request.conditions.emplace("aws:UserAgent", context.user_agent);
    request.resource_policy = access.resource_policy;
    request.now = context.now;
    const credentials::Decision decision = credentials::authorize(*identities(), request);
    if (decision.allowed()) return std::nullopt;
    return credentials::denial_message(request, decision);
  };
}

}  // namespace berth::api

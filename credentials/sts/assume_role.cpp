#include "credentials/sts/assume_role.hpp"

#include "broker/base/arn.hpp"
#include "credentials/policy/evaluate.hpp"
#include "credentials/policy_sources.hpp"

namespace berth::credentials {

namespace {

constexpr std::string_view kTrustType = "role trust policy";

Decision explicitly_denied(StatementRef by) {
  Decision decision;
  decision.reason = Decision::Reason::explicitly_denied;
  decision.denying_policy_type = by.policy_type;
  decision.determining.push_back(std::move(by));
  return decision;
}

// Both the role's trust policy and, where that does not name the principal itself, the principal's own policies.
Decision authorize_action(const Identities& identities, const AssumeRoleRequest& request, const Role& role,
                          const std::string& action, const RequestContext& context) {
  const auto& trust = *role.trust_policy;
  const auto said = evaluate(trust, action, role.arn, context);
  const auto reference = [&](std::size_t index) {
    return StatementRef{"trust policy of role `" + role.name + "`", std::string(kTrustType), trust.statements()[index].sid,
                        index};
  };
  if (said.denied_by) return explicitly_denied(reference(*said.denied_by));
  Decision decision;
  decision.denying_policy_type = kTrustType;
  if (request.principal.kind != Principal::Kind::service) {
    // The identity policies may deny even whom the trust policy names.
    AccessRequest access{.principal = request.principal,
                         .action = action,
                         .resource = role.arn,
                         .conditions = request.conditions,
                         .now = request.now};
    decision = authorize(identities, access);
    if (decision.reason == Decision::Reason::explicitly_denied) return decision;
  }
  if (!said.allowed_by) {
    decision = Decision{};
    decision.denying_policy_type = kTrustType;
    return decision;
  }
  if (said.mention != Mention::directly && !decision.allowed()) return decision;
  decision.reason = Decision::Reason::allowed;
  decision.denying_policy_type.clear();
  decision.determining.insert(decision.determining.begin(), reference(*said.allowed_by));
  return decision;
}

}  // namespace

Decision authorize_assume_role(const Identities& identities, const AssumeRoleRequest& request) {
  const Role* role = identities.find_role_by_arn(request.role_arn);
  Decision decision;
  decision.denying_policy_type = kTrustType;
  if (!role || !role->trust_policy) return decision;
  const PolicySources sources(identities, request.principal);
  const RequestContext context(request.principal, sources.tags(), request.conditions, request.now);
  decision = authorize_action(identities, request, *role, "sts:AssumeRole", context);
  if (!decision.allowed() || request.tags.empty()) return decision;
  Decision tagging = authorize_action(identities, request, *role, "sts:TagSession", context);
  if (!tagging.allowed()) return tagging;
  return decision;
}

Principal service_principal(std::string host, std::string account) {
  Principal principal;
  principal.kind = Principal::Kind::service;
  principal.account = std::move(account);
  principal.arn = std::move(host);
  principal.name = principal.arn;
  return principal;
}

Principal role_session(const Identities& identities, const Role& role, std::string session_name) {
  Principal principal;
  principal.kind = Principal::Kind::assumed_role;
  principal.account = identities.account();
  principal.arn =
      Arn{.service = "sts", .account = principal.account, .resource = "assumed-role/" + role.name + "/" + session_name}.str();
  principal.unique_id = role.id + ":" + session_name;
  principal.name = role.name;
  principal.role_arn = role.arn;
  principal.session_name = std::move(session_name);
  return principal;
}

Result<TemporaryCredentials> assume_role_as_service(const Identities& identities, const SessionTokens& tokens,
                                                    const std::string& service, const std::string& role_arn,
                                                    const std::string& session_name, std::chrono::seconds duration, TimePoint now,
                                                    Random& random, std::map<std::string, std::string> extra) {
  const Role* role = identities.find_role_by_arn(role_arn);
  if (!role) return fail(Code::not_found, "the role `{}` does not exist", role_arn);
  const AssumeRoleRequest request{.principal = service_principal(service, identities.account()),
                                  .role_arn = role_arn,
                                  .conditions = {{"aws:SourceAccount", identities.account()}},
                                  .tags = {},
                                  .now = now};
  if (!authorize_assume_role(identities, request).allowed()) {
    return fail(Code::permission_denied, "the trust policy of `{}` does not allow sts:AssumeRole to `{}`", role_arn, service);
  }
  return tokens.issue(role_session(identities, *role, session_name), duration, now, random, std::move(extra));
}

}  // namespace berth::credentials

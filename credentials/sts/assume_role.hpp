// Role sessions: who may assume a role, and what principal the session is.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "credentials/authorization.hpp"
#include "credentials/identities.hpp"
#include "credentials/principal.hpp"
#include "credentials/sts/session_token.hpp"

namespace berth::credentials {

struct AssumeRoleRequest {
  Principal principal;  // who asks; Principal{.kind = service, .arn = "ecs-tasks.amazonaws.com"} for Berth's own services
  std::string role_arn;
  // Beyond the principal's own keys: sts:ExternalId, sts:RoleSessionName, aws:SourceArn, ...; filled in by the caller.
  std::multimap<std::string, std::string> conditions;
  std::map<std::string, std::string> tags;  // session tags: sts:TagSession is checked too
  TimePoint now{};
};

// The trust policy must allow sts:AssumeRole for the principal. A principal of the account also needs an identity policy that
// allows it, unless the trust policy names it directly (not by the account). A role that does not exist denies.
Decision authorize_assume_role(const Identities& identities, const AssumeRoleRequest& request);

// A service's principal, e.g. service_principal("ecs-tasks.amazonaws.com", account).
Principal service_principal(std::string host, std::string account);

// The principal of a session of `role`: arn:aws:sts::A:assumed-role/ROLE/SESSION.
Principal role_session(const Identities& identities, const Role& role, std::string session_name);

// What ECS and EC2 do with a role: checks its trust in `service`, then issues. The Error says only
// why; the sentence around it ("ECS was unable to assume the role ...") is the caller's. ECS's conditions on trust policies:
// aws:SourceAccount is brought along.
Result<TemporaryCredentials> assume_role_as_service(const Identities& identities, const SessionTokens& tokens,
                                                    const std::string& service, const std::string& role_arn,
                                                    const std::string& session_name, std::chrono::seconds duration, TimePoint now,
                                                    Random& random, std::map<std::string, std::string> extra = {});

}  // namespace berth::credentials

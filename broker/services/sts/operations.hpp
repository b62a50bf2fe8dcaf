// The handlers behind the table in service.cpp. Inside the STS service only.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "broker/api/operation.hpp"
#include "broker/base/random.hpp"
#include "broker/control/control_plane.hpp"
#include "credentials/sts/session_token.hpp"

namespace berth::services::sts {

using api::CallContext;
using api::Json;
using api::Outcome;
using api::refuse;

struct Parts {
  control::ControlPlane& plane;
  const credentials::SessionTokens& tokens;
  Random& random;
};

using Operation = Outcome<Json>(const Parts&, const CallContext&, const Json&);

Operation assume_role;                                                  // assume_role.cpp
Operation get_caller_identity, get_session_token, get_access_key_info;  // callers.cpp

// The role, with its trust policy as the resource's policy: a trust policy that names the caller needs no other permission.
Outcome<std::vector<api::ResourceAccess>> assumed_role(const Parts& parts, const CallContext& context, const Json& input);

Json credentials_json(const credentials::TemporaryCredentials& credentials);

}  // namespace berth::services::sts

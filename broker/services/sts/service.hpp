// The STS API (2011-06-15): AssumeRole, GetCallerIdentity, GetSessionToken, GetAccessKeyInfo.
#pragma once

#include "broker/api/operation.hpp"
#include "broker/base/random.hpp"
#include "credentials/sts/session_token.hpp"

namespace berth::control {
class ControlPlane;
}

namespace berth::services::sts {

// All three outlive the service. `random` must be thread-safe and fit for secrets.
api::Service make_sts(control::ControlPlane& plane, const credentials::SessionTokens& tokens, Random& random);

}  // namespace berth::services::sts

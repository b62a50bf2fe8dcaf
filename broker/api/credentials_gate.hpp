// The dispatcher's Authenticator and Authorizer over the credentials library.
#pragma once

#include <functional>
#include <memory>

#include "broker/api/dispatcher.hpp"
#include "credentials/identities.hpp"
#include "credentials/sts/session_token.hpp"

namespace berth::api {

// The identities as they are now. Called for each request and each decision; thread-safe.
using IdentitiesNow = std::function<std::shared_ptr<const credentials::Identities>()>;

// `tokens` must outlive it.
Authenticator authenticate_with(IdentitiesNow identities, const credentials::SessionTokens& tokens);
// Adds the condition keys that follow from the call: aws:SourceIp, aws:SecureTransport, aws:UserAgent, aws:RequestedRegion.
Authorizer authorize_with(IdentitiesNow identities);

}  // namespace berth::api

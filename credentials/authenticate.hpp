// authenticate(): from a signed request to the principal behind it. Pure but for the cache of signing keys.
#pragma once

#include <string>

#include "credentials/identities.hpp"
#include "credentials/principal.hpp"
#include "credentials/sigv4/verify.hpp"
#include "credentials/sts/session_token.hpp"

namespace berth::credentials {

struct Authenticated {
  Principal principal;
  std::string region;   // of the credential scope
  std::string service;  // of the credential scope: the signing name
};

// Temporary credentials of a user, as GetSessionToken gives them.
bool is_user_session(const Principal& principal);

// The key must be active (or the session's token whole, unexpired and its role still the one it was made for), the signature
// right and the time near `now`.
Signed<Authenticated> authenticate(const Identities& identities, const SessionTokens& tokens, const SignedRequest& request,
                                   const VerifyOptions& options, TimePoint now);

}  // namespace berth::credentials

#include "credentials/authenticate.hpp"

namespace berth::credentials {

namespace {

std::unexpected<SignatureError> refuse(SignatureErrorCode code, std::string message) {
  return std::unexpected(SignatureError{code, std::move(message)});
}

std::unexpected<SignatureError> unknown_key() {
  return refuse(SignatureErrorCode::invalid_client_token_id, "The security token included in the request is invalid.");
}

std::unexpected<SignatureError> invalid_token() {
  return refuse(SignatureErrorCode::invalid_token, "The security token included in the request is invalid.");
}

struct Claim {
  Principal principal;
  Secret secret;
};

Principal user_principal(const Identities& identities, const User& user, std::string key_id) {
  Principal principal;
  principal.kind = Principal::Kind::user;
  principal.account = identities.account();
  principal.arn = user.arn;
  principal.unique_id = user.id;
  principal.name = user.name;
  principal.access_key_id = std::move(key_id);
  return principal;
}

Signed<Claim> long_term(const Identities& identities, const Authorization& authorization) {
  const auto owner = identities.find_access_key(authorization.access_key_id);
  if (!owner || !owner.key->active) return unknown_key();
  return Claim{user_principal(identities, *owner.user, authorization.access_key_id), owner.key->secret};
}

// A token outlives the daemon, but not what it was made for.
bool still_valid(const Identities& identities, const Principal& principal) {
  if (principal.kind == Principal::Kind::user) {
    const auto* user = identities.find_user(principal.name);
    return user && user->id == principal.unique_id;
  }
  const auto* role = identities.find_role_by_arn(principal.role_arn);
  return role && principal.unique_id == role->id + ":" + principal.session_name && principal.issued_at >= role->revoked_before;
}

Signed<Claim> temporary(const Identities& identities, const SessionTokens& tokens, const Authorization& authorization,
                        TimePoint now) {
  auto session = tokens.open(authorization.session_token, now);
  if (!session && session.error() == TokenError::expired) {
    return refuse(SignatureErrorCode::expired_token, "The security token included in the request is expired");
  }
  if (!session || session->principal.access_key_id != authorization.access_key_id) return invalid_token();
  if (session->principal.account != identities.account() || !still_valid(identities, session->principal)) return invalid_token();
  return Claim{std::move(session->principal), std::move(session->secret)};
}

}  // namespace

bool is_user_session(const Principal& principal) {
  return principal.kind == Principal::Kind::user && principal.access_key_id.starts_with("ASIA");
}

Signed<Authenticated> authenticate(const Identities& identities, const SessionTokens& tokens, const SignedRequest& request,
                                   const VerifyOptions& options, TimePoint now) {
  auto authorization = read_authorization(request);
  if (!authorization) return std::unexpected(authorization.error());
  auto claim = authorization->session_token.empty() ? long_term(identities, *authorization)
                                                    : temporary(identities, tokens, *authorization, now);
  if (!claim) return std::unexpected(claim.error());
  if (auto verified = verify(request, *authorization, claim->secret, options, now); !verified)
    return std::unexpected(verified.error());
  return Authenticated{std::move(claim->principal), std::move(authorization->region), std::move(authorization->service)};
}

}  // namespace berth::credentials

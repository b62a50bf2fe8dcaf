// Checks of a Signature Version 4 request, in the header or the presigned query form.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
//
// In two steps, since the secret must be looked up in between: read_authorization() finds out who claims to sign, verify()
// recomputes the signature. Pure but for the cache of signing keys (thread-safe). authenticate.hpp has both in one.
#pragma once

#include <chrono>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/base/clock.hpp"
#include "broker/base/secret.hpp"
#include "credentials/sigv4/request.hpp"

namespace berth::credentials {

// Protocols name these differently (InvalidClientTokenId in Query, UnrecognizedClientException in JSON): the dispatcher maps.
enum class SignatureErrorCode {
  missing_authentication_token,  // 403 MissingAuthenticationToken(Exception)
  incomplete_signature,          // 400 IncompleteSignature(Exception)
  invalid_client_token_id,       // 403 InvalidClientTokenId / UnrecognizedClientException / S3 InvalidAccessKeyId
  signature_does_not_match,      // 403 SignatureDoesNotMatch / InvalidSignatureException
  request_expired,  // as signature_does_not_match in Query and JSON; EC2: 400 RequestExpired; S3: 403 RequestTimeTooSkewed
  expired_token,    // 403 ExpiredToken(Exception)
  invalid_token,    // 403 InvalidClientTokenId / UnrecognizedClientException; S3: 400 InvalidToken
};

struct SignatureError {
  SignatureErrorCode code = SignatureErrorCode::signature_does_not_match;
  std::string message;  // AWS's sentence
};

// "SignatureDoesNotMatch", ...: the Query protocol's name, also used in logs.
std::string_view to_string(SignatureErrorCode code);

template <class T = void>
using Signed = std::expected<T, SignatureError>;

// What the Authorization header, or the X-Amz-* parameters of a presigned URL, say.
struct Authorization {
  std::string access_key_id;
  std::string date;  // YYYYMMDD of the scope
  std::string region;
  std::string service;
  std::vector<std::string> signed_headers;  // lower-case, sorted as given
  std::string signature;                    // lower-case hex
  std::string session_token;                // empty for long-term keys
  TimePoint signed_at{};
  bool presigned = false;
  std::chrono::seconds expires_in{};  // presigned only

  std::string scope() const { return date + "/" + region + "/" + service + "/aws4_request"; }
};

Signed<Authorization> read_authorization(const SignedRequest& request);

struct VerifyOptions {
  // S3 encodes the path once and does not normalise it, and takes UNSIGNED-PAYLOAD.
  bool s3 = false;
  // The scope's service must be this one, the region that one; empty: any.
  std::string service;
  std::string region;
  std::chrono::seconds skew{15 * 60};
};

Signed<> verify(const SignedRequest& request, const Authorization& authorization, const Secret& secret,
                const VerifyOptions& options, TimePoint now);

}  // namespace berth::credentials

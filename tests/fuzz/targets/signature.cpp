// A signed request: reading who signed never fails otherwise than with an error, and what our signer signs our verifier accepts.
#include <algorithm>

#include "credentials/sigv4/canonical.hpp"
#include "credentials/sigv4/sign.hpp"
#include "credentials/sigv4/verify.hpp"
#include "tests/fuzz/targets/target.hpp"

namespace berth::fuzz {
namespace {

using namespace credentials;  // NOLINT(google-build-using-namespace)

constexpr TimePoint kNow{std::chrono::hours(490000)};

SignedRequest view(const http::Request& request) {
  return {.method = request.method,
          .path = request.path(),
          .query = request.query(),
          .headers = request.headers,
          .body = request.body,
          .body_sha256 = std::nullopt};
}

// What a client's HTTP library would not send, or what sign() adds itself.
bool unsignable(const std::pair<std::string, std::string>& header) {
  constexpr std::string_view kToken = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
  if (header.first.empty() || header.first.find_first_not_of(kToken) != std::string::npos) return true;
  for (const char* own : {"authorization", "host", "x-amz-date", "date", "x-amz-security-token", "x-amz-content-sha256"})
    if (http::equal_ignoring_case(header.first, own)) return true;
  return false;
}

void sign_and_verify(http::Request request) {
  std::erase_if(request.headers, unsignable);
  if (request.query().find("X-Amz-") != std::string_view::npos || request.query().find('%') != std::string_view::npos) return;
  request.headers.emplace_back("host", "127.0.0.1");
  const SigningCredentials credentials{.access_key_id = "AKIAEXAMPLE", .secret = Secret("wJalr"), .session_token = {}};
  const SigningScope scope{.region = "us-east-1", .service = "ecs"};
  for (auto& header : sign(view(request), credentials, scope, kNow)) request.headers.push_back(std::move(header));
  const auto authorization = read_authorization(view(request));
  require(authorization.has_value(), "what sign() writes can be read");
  require(verify(view(request), *authorization, credentials.secret, {}, kNow).has_value(), "what sign() signs is accepted");
  request.body += "x";
  require(!verify(view(request), *authorization, credentials.secret, {}, kNow), "another body is refused");
}

}  // namespace

void signature(std::string_view input) {
  const http::Request request = take_request(input);
  const std::string query = canonical_query(request.query());
  require(canonical_query(query) == query, "a canonical query is its own canonical form");
  const std::string path = canonical_path(request.path(), false);
  require(path.starts_with('/'), "a canonical path is absolute");
  if (const auto authorization = read_authorization(view(request))) {
    const Secret secret("wJalr");
    require(!verify(view(request), *authorization, secret, {}, kNow) || authorization->signature.size() == 64,
            "only a whole signature is accepted");
    (void)canonical_request(view(request), authorization->signed_headers, payload_sha256(view(request)), true);
  } else {
    require(!authorization.error().message.empty(), "a refusal says why");
  }
  sign_and_verify(request);
}

}  // namespace berth::fuzz

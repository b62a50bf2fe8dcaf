#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "credentials/policy/pattern.hpp"
#include "credentials/sigv4/canonical.hpp"
#include "credentials/sigv4/verify.hpp"

namespace berth::credentials {

namespace {

constexpr std::chrono::seconds kPresignedMax{7 * 24 * 3600};

std::unexpected<SignatureError> incomplete(std::string message) {
  return std::unexpected(SignatureError{SignatureErrorCode::incomplete_signature, std::move(message)});
}

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

// keyid/date/region/service/aws4_request
Signed<> read_credential(std::string_view credential, Authorization& authorization) {
  auto parts = split(credential, '/');
  if (parts.size() != 5) {
    return incomplete(fmt::format(
        "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{}'", credential));
  }
  if (parts[4] != kTerminator) {
    return std::unexpected(
        SignatureError{SignatureErrorCode::signature_does_not_match,
                       fmt::format("Credential should be scoped with a valid terminator: 'aws4_request', not '{}'.", parts[4])});
  }
  authorization.access_key_id = std::move(parts[0]);
  authorization.date = std::move(parts[1]);
  authorization.region = std::move(parts[2]);
  authorization.service = std::move(parts[3]);
  return {};
}

Signed<> read_date(const std::string& text, Authorization& authorization) {
  const auto time = parse_time(text);
  // The basic form only: 20150830T123600Z.
  if (!time || text.size() != 16) {
    return incomplete(
        fmt::format("Date must be in ISO-8601 'basic format'. Got '{}'. See http://en.wikipedia.org/wiki/ISO_8601", text));
  }
  authorization.signed_at = *time;
  return {};
}

Signed<Authorization> from_header(const SignedRequest& request, std::string_view header) {
  Authorization authorization;
  const auto space = header.find(' ');
  const auto algorithm = header.substr(0, space);
  if (algorithm != kAlgorithm) return incomplete(fmt::format("Unsupported AWS 'algorithm': '{}'.", algorithm));
  std::string credential;
  const auto parameters = space == std::string_view::npos ? std::string_view() : header.substr(space + 1);
  for (const std::string& part : split(parameters, ',')) {
    const auto pair = trimmed(part);
    if (pair.empty()) continue;
    const auto equals = pair.find('=');
    if (equals == std::string_view::npos) {
      return incomplete(fmt::format("'{}' not a valid key=value pair (missing equal-sign) in Authorization header.", pair));
    }
    const auto name = trimmed(pair.substr(0, equals));
    const auto value = trimmed(pair.substr(equals + 1));
    if (name == "Credential") credential = value;
    if (name == "SignedHeaders" && !value.empty()) authorization.signed_headers = split(to_lower(value), ';');
    if (name == "Signature") authorization.signature = value;
  }
  const auto* date = find_header(request.headers, kDateHeader);
  if (!date) date = find_header(request.headers, "date");
  std::string missing;
  const auto require = [&missing](bool there, std::string_view name) {
    if (!there) missing += fmt::format("{}Authorization header requires '{}' parameter.", missing.empty() ? "" : " ", name);
  };
  require(!credential.empty(), "Credential");
  require(!authorization.signature.empty(), "Signature");
  require(!authorization.signed_headers.empty(), "SignedHeaders");
  if (!date)
    missing += (missing.empty() ? "" : " ") +
               std::string("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.");
  if (!missing.empty()) return incomplete(missing);
  if (auto read = read_credential(credential, authorization); !read) return std::unexpected(read.error());
  if (auto read = read_date(*date, authorization); !read) return std::unexpected(read.error());
  if (const auto* token = find_header(request.headers, kTokenHeader)) authorization.session_token = *token;
  return authorization;
}

Signed<Authorization> from_query(const std::vector<std::pair<std::string, std::string>>& parameters) {
  const auto value_of = [&parameters](std::string_view name) {
    const auto found =
        std::ranges::find(parameters, name, [](const auto& parameter) -> std::string_view { return parameter.first; });
    return found == parameters.end() ? std::string() : found->second;
  };
  Authorization authorization;
  authorization.presigned = true;
  if (const auto algorithm = value_of("X-Amz-Algorithm"); algorithm != kAlgorithm) {
    return incomplete(fmt::format("Unsupported AWS 'algorithm': '{}'.", algorithm));
  }
  for (const auto* name : {"X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date"}) {
    if (value_of(name).empty())
      return incomplete(
          fmt::format("AWS query-string parameters must include '{}'. Re-examine the query-string parameters.", name));
  }
  if (auto read = read_credential(value_of("X-Amz-Credential"), authorization); !read) return std::unexpected(read.error());
  if (auto read = read_date(value_of("X-Amz-Date"), authorization); !read) return std::unexpected(read.error());
  authorization.signature = value_of("X-Amz-Signature");
  authorization.signed_headers = split(to_lower(value_of("X-Amz-SignedHeaders")), ';');
  authorization.session_token = value_of("X-Amz-Security-Token");
  const auto expires = value_of("X-Amz-Expires");
  long seconds = 900;
  const auto [end, error] = std::from_chars(expires.data(), expires.data() + expires.size(), seconds);
  if (!expires.empty() && (error != std::errc{} || end != expires.data() + expires.size()))
    return incomplete("X-Amz-Expires should be a number");
  if (seconds < 1 || seconds > kPresignedMax.count()) return incomplete("X-Amz-Expires must be between 1 and 604800 seconds");
  authorization.expires_in = std::chrono::seconds(seconds);
  return authorization;
}

}  // namespace

std::string_view to_string(SignatureErrorCode code) {
  switch (code) {
    case SignatureErrorCode::missing_authentication_token: return "MissingAuthenticationToken";
    case SignatureErrorCode::incomplete_signature: return "IncompleteSignature";
    case SignatureErrorCode::invalid_client_token_id: return "InvalidClientTokenId";
    case SignatureErrorCode::signature_does_not_match: return "SignatureDoesNotMatch";
    case SignatureErrorCode::request_expired: return "RequestExpired";
    case SignatureErrorCode::expired_token: return "ExpiredToken";
    case SignatureErrorCode::invalid_token: return "InvalidClientTokenId";
  }
  return "SignatureDoesNotMatch";
}

Signed<Authorization> read_authorization(const SignedRequest& request) {
  const auto* header = find_header(request.headers, "authorization");
  const auto parameters = split_query(request.query);
  const bool presigned =
      std::ranges::any_of(parameters, [](const auto& parameter) { return parameter.first == "X-Amz-Algorithm"; });
  if (header && presigned) {
    return incomplete("Only one auth mechanism allowed: either the Authorization header or the X-Amz-Algorithm query parameter");
  }
  if (header) return from_header(request, *header);
  if (presigned) return from_query(parameters);
  return std::unexpected(
      SignatureError{SignatureErrorCode::missing_authentication_token, "Request is missing Authentication Token"});
}

}  // namespace berth::credentials

#include "credentials/sigv4/verify.hpp"

#include <algorithm>
#include <map>
#include <mutex>

#include <fmt/format.h>

#include "credentials/policy/pattern.hpp"
#include "credentials/sigv4/canonical.hpp"

namespace berth::credentials {

namespace {

std::unexpected<SignatureError> mismatch(std::string message) {
  return std::unexpected(SignatureError{SignatureErrorCode::signature_does_not_match, std::move(message)});
}

// A key serves for a day; deriving it costs four HMACs. The secret stands beside it, since a key id may get another one.
class SigningKeys {
 public:
  Digest get(const Authorization& authorization, const Secret& secret) {
    const std::string name = authorization.access_key_id + "/" + authorization.scope();
    {
      const std::scoped_lock lock(mutex_);
      const auto found = keys_.find(name);
      if (found != keys_.end() && equal_constant_time(found->second.secret.reveal(), secret.reveal())) return found->second.key;
    }
    const Digest key = signing_key(secret, authorization.date, authorization.region, authorization.service);
    const std::scoped_lock lock(mutex_);
    // Session keys come and go: starting over now and then is simpler than ages, and costs nothing that matters.
    if (keys_.size() >= kKeysMax) keys_.clear();
    keys_.insert_or_assign(name, Entry{secret, key});
    return key;
  }

 private:
  static constexpr std::size_t kKeysMax = 1024;
  struct Entry {
    Secret secret;
    Digest key;
  };
  std::mutex mutex_;
  std::map<std::string, Entry> keys_;
};

SigningKeys& signing_keys() {
  static SigningKeys keys;
  return keys;
}

Signed<> check_scope(const Authorization& authorization, const VerifyOptions& options) {
  if (!options.service.empty() && authorization.service != options.service) {
    return mismatch(fmt::format("Credential should be scoped to correct service: '{}'.", options.service));
  }
  if (authorization.region.empty() || (!options.region.empty() && authorization.region != options.region)) {
    return mismatch(fmt::format("Credential should be scoped to a valid Region, not '{}'.", authorization.region));
  }
  const auto signed_at = to_amz_date(authorization.signed_at);
  if (authorization.date != signed_at.substr(0, 8)) {
    return mismatch(fmt::format(
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{}' != '{}', from '{}'.",
        authorization.date, signed_at.substr(0, 8), signed_at));
  }
  return {};
}

Signed<> check_time(const Authorization& authorization, const VerifyOptions& options, TimePoint now) {
  const auto expired = [](std::string message) {
    return std::unexpected(SignatureError{SignatureErrorCode::request_expired, std::move(message)});
  };
  const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(options.skew).count();
  const auto signed_at = authorization.signed_at;
  if (signed_at > now + options.skew) {
    return expired(fmt::format("Signature not yet current: {} is still later than {} ({} + {} min.)", to_amz_date(signed_at),
                               to_amz_date(now + options.skew), to_amz_date(now), minutes));
  }
  if (authorization.presigned) {
    const auto end = signed_at + authorization.expires_in;
    if (now > end)
      return expired(fmt::format("Signature expired: {} is now earlier than {}", to_amz_date(end), to_amz_date(now)));
    return {};
  }
  if (signed_at < now - options.skew) {
    return expired(fmt::format("Signature expired: {} is now earlier than {} ({} - {} min.)", to_amz_date(signed_at),
                               to_amz_date(now - options.skew), to_amz_date(now), minutes));
  }
  return {};
}

// What is not signed can be changed on the way: the host and all that AWS reads from headers must be.
Signed<> check_signed_headers(const SignedRequest& request, const Authorization& authorization) {
  const auto& names = authorization.signed_headers;
  const auto is_signed = [&names](std::string_view name) { return std::ranges::find(names, name) != names.end(); };
  if (!is_signed("host") && !is_signed(":authority")) {
    return mismatch("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.");
  }
  for (const auto& [name, value] : request.headers) {
    const auto lower = to_lower(name);
    // Some clients add the token after signing; it authenticates itself.
    if (lower.starts_with("x-amz-") && lower != kTokenHeader && !is_signed(lower)) {
      return mismatch(fmt::format("There were headers present in the request which were not signed: {}", lower));
    }
  }
  return {};
}

// What the client put into its canonical request, if that is true of the body; else what is true.
std::string payload_hash(const SignedRequest& request, const Authorization& authorization, const VerifyOptions& options) {
  const auto* claimed = find_header(request.headers, kSha256Header);
  if (options.s3) {
    if (claimed && (*claimed == kUnsignedPayload || claimed->starts_with("STREAMING-"))) return *claimed;
    if (!claimed && authorization.presigned) return std::string(kUnsignedPayload);
  }
  return payload_sha256(request);
}

}  // namespace

Signed<> verify(const SignedRequest& request, const Authorization& authorization, const Secret& secret,
                const VerifyOptions& options, TimePoint now) {
  if (auto checked = check_scope(authorization, options); !checked) return checked;
  if (auto checked = check_time(authorization, options, now); !checked) return checked;
  if (auto checked = check_signed_headers(request, authorization); !checked) return checked;
  const auto canonical =
      canonical_request(request, authorization.signed_headers, payload_hash(request, authorization, options), options.s3);
  const auto to_sign = string_to_sign(to_amz_date(authorization.signed_at), authorization.scope(), canonical);
  const auto expected = signature(signing_keys().get(authorization, secret), to_sign);
  if (equal_constant_time(expected, authorization.signature)) return {};
  return mismatch(
      fmt::format("The request signature we calculated does not match the signature you provided. Check your AWS Secret Access "
                  "Key and signing method. "
                  "Consult the service documentation for details.\n\nThe Canonical String for this request should have "
                  "been\n'{}'\n\nThe String-to-Sign "
                  "should have been\n'{}'\n",
                  canonical, to_sign));
}

}  // namespace berth::credentials

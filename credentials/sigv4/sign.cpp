#include "credentials/sigv4/sign.hpp"

#include <algorithm>

#include "broker/base/encoding.hpp"
#include "credentials/policy/pattern.hpp"
#include "credentials/sigv4/canonical.hpp"

namespace berth::credentials {

namespace {

std::vector<std::string> header_names(const HeaderList& headers) {
  std::vector<std::string> names;
  for (const auto& [name, value] : headers) names.push_back(to_lower(name));
  std::ranges::sort(names);
  names.erase(std::ranges::unique(names).begin(), names.end());
  return names;
}

std::string scope_text(std::string_view date, const SigningScope& scope) {
  return join({std::string(date), scope.region, scope.service, std::string(kTerminator)}, '/');
}

}  // namespace

HeaderList sign(const SignedRequest& request, const SigningCredentials& credentials, const SigningScope& scope, TimePoint now,
                const SignOptions& options) {
  const std::string amz_date = to_amz_date(now);
  const std::string date = amz_date.substr(0, 8);
  const std::string payload = payload_sha256(request);
  HeaderList added = {{std::string(kDateHeader), amz_date}};
  if (!credentials.session_token.empty()) added.emplace_back(kTokenHeader, credentials.session_token);
  if (options.sign_payload_header) added.emplace_back(kSha256Header, payload);

  HeaderList all(request.headers.begin(), request.headers.end());
  all.insert(all.end(), added.begin(), added.end());
  SignedRequest complete = request;
  complete.headers = all;
  const auto names = header_names(all);
  const auto to_sign = string_to_sign(amz_date, scope_text(date, scope), canonical_request(complete, names, payload, options.s3));
  const auto key = signing_key(credentials.secret, date, scope.region, scope.service);
  added.emplace_back("authorization", std::string(kAlgorithm) + " Credential=" + credentials.access_key_id + "/" +
                                          scope_text(date, scope) + ", SignedHeaders=" + join(names, ';') +
                                          ", Signature=" + signature(key, to_sign));
  return added;
}

std::string presign(const SignedRequest& request, const SigningCredentials& credentials, const SigningScope& scope, TimePoint now,
                    std::chrono::seconds expires_in, const SignOptions& options) {
  const std::string amz_date = to_amz_date(now);
  const std::string date = amz_date.substr(0, 8);
  const HeaderList headers(request.headers.begin(), request.headers.end());
  const auto names = header_names(headers);
  std::string query(request.query);
  const auto add = [&query](std::string_view name, std::string_view value) {
    if (!query.empty()) query += '&';
    query.append(name).append("=").append(percent_encode(value));
  };
  add("X-Amz-Algorithm", kAlgorithm);
  add("X-Amz-Credential", credentials.access_key_id + "/" + scope_text(date, scope));
  add("X-Amz-Date", amz_date);
  add("X-Amz-Expires", std::to_string(expires_in.count()));
  add("X-Amz-SignedHeaders", join(names, ';'));
  if (!credentials.session_token.empty()) add("X-Amz-Security-Token", credentials.session_token);

  SignedRequest complete = request;
  complete.query = query;
  const std::string payload = options.s3 ? std::string(kUnsignedPayload) : payload_sha256(request);
  const auto to_sign = string_to_sign(amz_date, scope_text(date, scope), canonical_request(complete, names, payload, options.s3));
  add("X-Amz-Signature", signature(signing_key(credentials.secret, date, scope.region, scope.service), to_sign));
  return query;
}

}  // namespace berth::credentials

// The stages of Signature Version 4 that signer and verifier share: canonical request, string to sign, signing key.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/base/secret.hpp"
#include "credentials/crypto.hpp"
#include "credentials/sigv4/request.hpp"

namespace berth::credentials {

inline constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
inline constexpr std::string_view kTerminator = "aws4_request";
inline constexpr std::string_view kUnsignedPayload = "UNSIGNED-PAYLOAD";
inline constexpr std::string_view kSha256Header = "x-amz-content-sha256";
inline constexpr std::string_view kDateHeader = "x-amz-date";
inline constexpr std::string_view kTokenHeader = "x-amz-security-token";

// Everything but S3 drops `.`, `..` and empty segments and encodes the encoded path once more.
std::string canonical_path(std::string_view path, bool s3);
// Sorted and encoded anew; the X-Amz-Signature parameter is left out.
std::string canonical_query(std::string_view query);
std::string canonical_request(const SignedRequest& request, const std::vector<std::string>& signed_headers,
                              std::string_view payload_hash, bool s3);

std::string string_to_sign(std::string_view amz_date, std::string_view scope, std::string_view canonical);
Digest signing_key(const Secret& secret, std::string_view date, std::string_view region, std::string_view service);
std::string signature(const Digest& key, std::string_view to_sign);

std::string payload_sha256(const SignedRequest& request);

// The first value; nullptr where there is none. `name` in lower case.
const std::string* find_header(std::span<const std::pair<std::string, std::string>> headers, std::string_view name);
// Names and values of a query string, decoded, in order. A broken escape stays as it is written.
std::vector<std::pair<std::string, std::string>> split_query(std::string_view query);
std::string join(const std::vector<std::string>& words, char separator);
std::vector<std::string> split(std::string_view text, char separator);

}  // namespace berth::credentials

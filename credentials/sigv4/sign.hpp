// Signing of requests with Signature Version 4: for our own clients and for tests.
#pragma once

#include <chrono>
#include <string>

#include "broker/base/clock.hpp"
#include "broker/base/secret.hpp"
#include "credentials/sigv4/request.hpp"

namespace berth::credentials {

struct SigningCredentials {
  std::string access_key_id;
  Secret secret;
  std::string session_token;  // empty for long-term keys
};

struct SigningScope {
  std::string region;
  std::string service;  // the signing name: "elasticfilesystem" for EFS
};

struct SignOptions {
  bool s3 = false;
  bool sign_payload_header = false;  // adds x-amz-content-sha256 (S3 wants it)
};

// The headers to add to the request: x-amz-date, x-amz-security-token where there is a token, and authorization. All headers
// in `request` are signed; `host` must be among them.
HeaderList sign(const SignedRequest& request, const SigningCredentials& credentials, const SigningScope& scope, TimePoint now,
                const SignOptions& options = {});

// The query string of the presigned URL: request.query with the X-Amz-* parameters behind it.
std::string presign(const SignedRequest& request, const SigningCredentials& credentials, const SigningScope& scope, TimePoint now,
                    std::chrono::seconds expires_in, const SignOptions& options = {});

}  // namespace berth::credentials

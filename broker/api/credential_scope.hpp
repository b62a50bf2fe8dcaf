// Which service a request was signed for, read before anything is verified: it decides in whose form errors are written.
#pragma once

#include <string>

#include "broker/http/message.hpp"

namespace berth::api {

// The service of the credential scope, from the Authorization header or X-Amz-Credential; empty where there is none.
std::string signed_service(const http::Request& request);
// Whether the request brings a signature of any kind, right or wrong.
bool has_signature(const http::Request& request);

}  // namespace berth::api

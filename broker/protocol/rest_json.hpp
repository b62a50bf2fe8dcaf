// REST JSON: the operation from method and path; members in path, query string, headers and body.
// https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html
#pragma once

#include "broker/protocol/codec.hpp"

namespace berth::protocol::rest_json {

Decoded<const OperationModel*> operation_of(const Model& model, const http::Request& request);
Decoded<nlohmann::json> decode(const OperationModel& operation, const http::Request& request);
http::Response encode(const OperationModel& operation, const nlohmann::json& output);
http::Response encode_error(const Model& model, const WireError& error);

}  // namespace berth::protocol::rest_json

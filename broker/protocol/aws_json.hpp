// AWS JSON 1.0 and 1.1: POST /, the operation in X-Amz-Target, JSON in and out.
// https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html
#pragma once

#include "broker/protocol/codec.hpp"

namespace berth::protocol::aws_json {

Decoded<const OperationModel*> operation_of(const Model& model, const http::Request& request);
Decoded<nlohmann::json> decode(const OperationModel& operation, const http::Request& request);
http::Response encode(const Model& model, const OperationModel& operation, const nlohmann::json& output);
http::Response encode_error(const Model& model, const WireError& error);

}  // namespace berth::protocol::aws_json

// Smithy RPC v2 over CBOR: a second wire of services whose table lists it beside Query (CloudWatch). Names of errors are
// Query's, as `awsQueryCompatible` promises its clients.
#pragma once

#include "broker/protocol/codec.hpp"

namespace berth::protocol::rpc_cbor {

Decoded<const OperationModel*> operation_of(const Model& model, const http::Request& request);
Decoded<nlohmann::json> decode(const Model& model, const OperationModel& operation, const http::Request& request);
http::Response encode(const OperationModel& operation, const nlohmann::json& output);
http::Response encode_error(const Model& model, const WireError& error);

}  // namespace berth::protocol::rpc_cbor

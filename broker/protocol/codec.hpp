// The codecs' one face: which operation a request asks for, its input as JSON named and typed by the shapes, and an answer or
// an error as the service's protocol writes it. Four protocols behind it: aws_json.cpp, rest_json.cpp, query.cpp
// (and EC2's); and rpc_cbor.cpp, a second wire of some.
//
// What handlers see, whatever the wire: members by the shape's names; time stamps as numbers (seconds since 1970), blobs as
// base64 text, numbers and booleans as such. Members that the shape doesn't have are ignored, as AWS does. Pure functions.
#pragma once

#include <expected>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "broker/http/message.hpp"
#include "broker/protocol/model.hpp"
#include "broker/protocol/wire_error.hpp"

namespace berth::protocol {

template <class T>
using Decoded = std::expected<T, WireError>;

Decoded<const OperationModel*> operation_of(const Model& model, const http::Request& request);
// Types only; limits are validate()'s.
Decoded<nlohmann::json> decode(const Model& model, const OperationModel& operation, const http::Request& request);

// The wire of a request, by which it is answered: the service's own protocol, or CBOR or AWS JSON where it has those too.
enum class Wire { own, cbor, json };
Wire wire_of(const Model& model, const http::Request& request);

http::Response encode(const Model& model, const OperationModel& operation, const nlohmann::json& output,
                      std::string_view request_id, Wire wire = Wire::own);
http::Response encode_error(const Model& model, const WireError& error, std::string_view request_id, Wire wire = Wire::own);

}  // namespace berth::protocol

#include "broker/protocol/codec.hpp"

#include <nlohmann/json.hpp>

#include <fmt/format.h>

#include "broker/protocol/aws_json.hpp"
#include "broker/protocol/query.hpp"
#include "broker/protocol/rest_json.hpp"
#include "broker/protocol/rpc_cbor.hpp"

namespace berth::protocol {

namespace {

// What a client of a service that once had Query only knows its errors by.
http::Response with_query_error(http::Response response, const Model& model, const WireError& error) {
  response.headers.emplace_back("x-amzn-query-error",
                                fmt::format("{};{}", wire_code(model, error), response.status >= 500 ? "Receiver" : "Sender"));
  return response;
}

http::Response encode_by(Wire wire, const Model& model, const OperationModel& operation, const nlohmann::json& output,
                         std::string_view request_id) {
  if (wire == Wire::cbor) return rpc_cbor::encode(operation, output);
  if (wire == Wire::json) return aws_json::encode(model, operation, output);
  switch (model.protocol()) {
    case Protocol::json: return aws_json::encode(model, operation, output);
    case Protocol::rest_json: return rest_json::encode(operation, output);
    case Protocol::query:
    case Protocol::ec2: break;
  }
  return query::encode(model, operation, output, request_id);
}

http::Response encode_error_by(Wire wire, const Model& model, const WireError& error, std::string_view request_id) {
  if (wire == Wire::cbor) return with_query_error(rpc_cbor::encode_error(model, error), model, error);
  if (wire == Wire::json) return with_query_error(aws_json::encode_error(model, error), model, error);
  switch (model.protocol()) {
    case Protocol::json: return aws_json::encode_error(model, error);
    case Protocol::rest_json: return rest_json::encode_error(model, error);
    case Protocol::query:
    case Protocol::ec2: break;
  }
  return query::encode_error(model, error, request_id);
}

}  // namespace

Wire wire_of(const Model& model, const http::Request& request) {
  const std::string* smithy = model.speaks_cbor() ? http::find_header(request.headers, "Smithy-Protocol") : nullptr;
  if (smithy && *smithy == "rpc-v2-cbor") return Wire::cbor;
  return model.speaks_json() && http::find_header(request.headers, "X-Amz-Target") ? Wire::json : Wire::own;
}

Decoded<const OperationModel*> operation_of(const Model& model, const http::Request& request) {
  const Wire wire = wire_of(model, request);
  if (wire == Wire::cbor) return rpc_cbor::operation_of(model, request);
  if (wire == Wire::json) return aws_json::operation_of(model, request);
  switch (model.protocol()) {
    case Protocol::json: return aws_json::operation_of(model, request);
    case Protocol::rest_json: return rest_json::operation_of(model, request);
    case Protocol::query:
    case Protocol::ec2: break;
  }
  return query::operation_of(model, request);
}

Decoded<nlohmann::json> decode(const Model& model, const OperationModel& operation, const http::Request& request) {
  const Wire wire = wire_of(model, request);
  if (wire == Wire::cbor) return rpc_cbor::decode(model, operation, request);
  if (wire == Wire::json) return aws_json::decode(operation, request);
  switch (model.protocol()) {
    case Protocol::json: return aws_json::decode(operation, request);
    case Protocol::rest_json: return rest_json::decode(operation, request);
    case Protocol::query:
    case Protocol::ec2: break;
  }
  return query::decode(model, operation, request);
}

http::Response encode(const Model& model, const OperationModel& operation, const nlohmann::json& output,
                      std::string_view request_id, Wire wire) {
  http::Response response = encode_by(wire, model, operation, output, request_id);
  response.headers.emplace_back("x-amzn-RequestId", request_id);
  return response;
}

http::Response encode_error(const Model& model, const WireError& error, std::string_view request_id, Wire wire) {
  http::Response response = encode_error_by(wire, model, error, request_id);
  response.headers.emplace_back("x-amzn-RequestId", request_id);
  return response;
}

}  // namespace berth::protocol

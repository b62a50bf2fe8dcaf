#include "broker/protocol/codec.hpp"

#include <nlohmann/json.hpp>

#include "broker/protocol/aws_json.hpp"
#include "broker/protocol/query.hpp"
#include "broker/protocol/rest_json.hpp"

namespace berth::protocol {

Decoded<const OperationModel*> operation_of(const Model& model, const http::Request& request) {
  switch (model.protocol()) {
    case Protocol::json: return aws_json::operation_of(model, request);
    case Protocol::rest_json: return rest_json::operation_of(model, request);
    case Protocol::query:
    case Protocol::ec2: break;
  }
  return query::operation_of(model, request);
}

Decoded<nlohmann::json> decode(const Model& model, const OperationModel& operation, const http::Request& request) {
  switch (model.protocol()) {
    case Protocol::json: return aws_json::decode(operation, request);
    case Protocol::rest_json: return rest_json::decode(operation, request);
    case Protocol::query:
    case Protocol::ec2: break;
  }
  return query::decode(model, operation, request);
}

http::Response encode(const Model& model, const OperationModel& operation, const nlohmann::json& output,
                      std::string_view request_id) {
  http::Response response;
  switch (model.protocol()) {
    case Protocol::json: response = aws_json::encode(model, operation, output); break;
    case Protocol::rest_json: response = rest_json::encode(operation, output); break;
    case Protocol::query:
    case Protocol::ec2: response = query::encode(model, operation, output, request_id); break;
  }
  response.headers.emplace_back("x-amzn-RequestId", request_id);
  return response;
}

http::Response encode_error(const Model& model, const WireError& error, std::string_view request_id) {
  http::Response response;
  switch (model.protocol()) {
    case Protocol::json: response = aws_json::encode_error(model, error); break;
    case Protocol::rest_json: response = rest_json::encode_error(model, error); break;
    case Protocol::query:
    case Protocol::ec2: response = query::encode_error(model, error, request_id); break;
  }
  response.headers.emplace_back("x-amzn-RequestId", request_id);
  return response;
}

}  // namespace berth::protocol

// AWS Query and EC2 Query: a form in, XML out.
// https://smithy.io/2.0/aws/protocols/aws-query-protocol.html, .../aws-ec2-query-protocol.html
#pragma once

#include "broker/protocol/codec.hpp"

namespace berth::protocol::query {

Decoded<const OperationModel*> operation_of(const Model& model, const http::Request& request);
Decoded<nlohmann::json> decode(const Model& model, const OperationModel& operation, const http::Request& request);
http::Response encode(const Model& model, const OperationModel& operation, const nlohmann::json& output,
                      std::string_view request_id);
http::Response encode_error(const Model& model, const WireError& error, std::string_view request_id);

// What a form asks for: `Action` and `Version`, from the body or the query string; empty where it says none.
struct Asked {
  std::string action;
  std::string version;
};
Asked asked_of(const http::Request& request);

}  // namespace berth::protocol::query

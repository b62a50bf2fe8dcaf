#include "broker/protocol/aws_json.hpp"

#include <nlohmann/json.hpp>

#include <fmt/format.h>

#include "broker/protocol/json_value.hpp"

namespace berth::protocol::aws_json {

using Json = nlohmann::json;

namespace {

http::Response json_response(const Model& model, int status, const Json& body) {
  return {status, {{"Content-Type", "application/x-amz-json-" + model.json_version()}}, dump(body)};
}

// Most shapes say `message`, a few `Message`; clients read either.
std::string message_member(const Shape* shape) { return shape && shape->find("Message") ? "Message" : "message"; }

}  // namespace

Decoded<const OperationModel*> operation_of(const Model& model, const http::Request& request) {
  const std::string* target = http::find_header(request.headers, "X-Amz-Target");
  const std::string prefix = model.target_prefix() + ".";
  const OperationModel* operation =
      target && target->starts_with(prefix) ? model.operation(std::string_view(*target).substr(prefix.size())) : nullptr;
  if (operation) return operation;
  const std::string named = target ? fmt::format("X-Amz-Target `{}`", *target) : "a request without X-Amz-Target";
  return std::unexpected(fault(model.protocol(), Fault::unknown_operation,
                               fmt::format("{} names no operation of {} {}", named, model.name(), model.api_version())));
}

Decoded<Json> decode(const OperationModel& operation, const http::Request& request) {
  auto wire = parse_object(request.body);
  if (!wire) return std::unexpected(fault(Protocol::json, Fault::malformed, wire.error()));
  if (!operation.input) return Json::object();
  auto input = from_json(*operation.input, *wire);
  if (!input) return std::unexpected(fault(Protocol::json, Fault::malformed, input.error()));
  return std::move(*input);
}

http::Response encode(const Model& model, const OperationModel& operation, const Json& output) {
  const Json body = operation.output && output.is_object() ? to_json(*operation.output, output) : Json::object();
  return json_response(model, 200, body);
}

http::Response encode_error(const Model& model, const WireError& error) {
  const Shape* shape = model.error(error.code);
  Json body = shape && error.members && error.members->is_object() ? to_json(*shape, *error.members) : Json::object();
  body["__type"] = wire_code(model, error);
  body[message_member(shape)] = error.message;
  return json_response(model, wire_status(model, error), body);
}

}  // namespace berth::protocol::aws_json

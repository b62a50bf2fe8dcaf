#include "broker/protocol/rpc_cbor.hpp"

#include <nlohmann/json.hpp>

#include <fmt/format.h>

#include "broker/protocol/cbor.hpp"
#include "broker/protocol/json_value.hpp"

namespace berth::protocol::rpc_cbor {

using Json = nlohmann::json;

namespace {

http::Response cbor_response(int status, std::string body) {
  return {status, {{"Content-Type", "application/cbor"}, {"Smithy-Protocol", "rpc-v2-cbor"}}, std::move(body)};
}

}  // namespace

Decoded<const OperationModel*> operation_of(const Model& model, const http::Request& request) {
  const std::string prefix = fmt::format("/service/{}/operation/", model.target_prefix());
  const std::string_view path = request.path();
  const OperationModel* operation = path.starts_with(prefix) ? model.operation(path.substr(prefix.size())) : nullptr;
  if (operation) return operation;
  return std::unexpected(fault(model.protocol(), Fault::unknown_operation,
                               fmt::format("`{}` names no operation of {} {}", path, model.name(), model.api_version())));
}

Decoded<Json> decode(const Model& model, const OperationModel& operation, const http::Request& request) {
  if (!operation.input || request.body.empty()) return Json::object();
  const auto wire = parse_cbor(request.body);
  if (!wire) return std::unexpected(fault(model.protocol(), Fault::malformed, wire.error()));
  auto input = from_json(*operation.input, *wire);
  if (!input) return std::unexpected(fault(model.protocol(), Fault::malformed, input.error()));
  return std::move(*input);
}

http::Response encode(const OperationModel& operation, const Json& output) {
  static const Shape nothing{.name = "nothing", .type = Type::structure};
  return cbor_response(200,
                       to_cbor(operation.output ? *operation.output : nothing, output.is_object() ? output : Json::object()));
}

http::Response encode_error(const Model& model, const WireError& error) {
  static const Shape text{.name = "text", .type = Type::string};
  static const Shape shape{.name = "error",
                           .type = Type::structure,
                           .members = {{.name = "__type", .shape = &text}, {.name = "message", .shape = &text}}};
  const Shape* known = model.error(error.code);
  const Json body{{"__type", known ? known->name : wire_code(model, error)}, {"message", error.message}};
  return cbor_response(wire_status(model, error), to_cbor(shape, body));
}

}  // namespace berth::protocol::rpc_cbor

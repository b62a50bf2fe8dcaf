#include "broker/protocol/query.hpp"

#include <nlohmann/json.hpp>

#include <fmt/format.h>

#include "broker/protocol/form.hpp"
#include "broker/protocol/query_input.hpp"
#include "broker/protocol/query_output.hpp"
#include "broker/protocol/xml.hpp"

namespace berth::protocol::query {

using Json = nlohmann::json;

namespace {

bool is_ec2(const Model& model) { return model.protocol() == Protocol::ec2; }

// The table lacks the slash that EC2's answers end their namespace with.
std::string xml_namespace(const Model& model) {
  std::string name = model.xml_namespace();
  if (is_ec2(model) && !name.ends_with('/')) name += '/';
  return name;
}

// A form comes in the body; a GET has it in the query string.
std::optional<Parameters> parameters_of(const http::Request& request) {
  return parse_form(request.body.empty() ? request.query() : std::string_view(request.body));
}

http::Response xml_response(const Model& model, int status, std::string body) {
  return {status, {{"Content-Type", is_ec2(model) ? "text/xml;charset=UTF-8" : "text/xml"}}, std::move(body)};
}

void write_members(XmlWriter& xml, const Shape* shape, const Json* members, bool ec2) {
  if (shape && members && members->is_object()) write_structure(xml, *shape, *members, ec2);
}

}  // namespace

Asked asked_of(const http::Request& request) {
  const auto parameters = parameters_of(request);
  if (!parameters) return {};
  const std::string* action = find_parameter(*parameters, "Action");
  const std::string* version = find_parameter(*parameters, "Version");
  return {action ? *action : std::string{}, version ? *version : std::string{}};
}

Decoded<const OperationModel*> operation_of(const Model& model, const http::Request& request) {
  const Asked asked = asked_of(request);
  // EC2 serves clients of all its versions; the others' first is their only one.
  const bool known_version = is_ec2(model) || asked.version == model.api_version();
  if (const OperationModel* operation = model.operation(asked.action); operation && known_version) return operation;
  if (asked.action.empty()) {
    return std::unexpected(WireError{is_ec2(model) ? "MissingParameter" : "MissingAction",
                                     "The request must contain the parameter Action", nullptr, 400});
  }
  const std::string version = asked.version.empty() ? "NO_VERSION_SPECIFIED" : asked.version;
  std::string message = is_ec2(model) ? fmt::format("The action {} is not valid for this web service.", asked.action)
                                      : fmt::format("Could not find operation {} for version {}", asked.action, version);
  return std::unexpected(fault(model.protocol(), Fault::unknown_operation, std::move(message)));
}

Decoded<Json> decode(const Model& model, const OperationModel& operation, const http::Request& request) {
  const auto parameters = parameters_of(request);
  if (!parameters)
    return std::unexpected(fault(model.protocol(), Fault::malformed, "The form has a broken % escape or text that is not UTF-8"));
  const auto tree = form_tree(*parameters);
  if (!tree) return std::unexpected(fault(model.protocol(), Fault::malformed, "A parameter's name has too many parts"));
  if (!operation.input) return Json::object();
  auto input = read_structure(*operation.input, *tree, is_ec2(model));
  if (!input) return std::unexpected(fault(model.protocol(), Fault::malformed, input.error()));
  return std::move(*input);
}

http::Response encode(const Model& model, const OperationModel& operation, const Json& output, std::string_view request_id) {
  const bool ec2 = is_ec2(model);
  const std::string root = operation.name + "Response";
  XmlWriter xml;
  xml.open(root, xml_namespace(model));
  if (ec2) {
    xml.element("requestId", request_id);
    write_members(xml, operation.output, &output, ec2);
    if (!operation.output) xml.element("return", "true");
    return xml_response(model, 200, xml.close(root).take());
  }
  if (!operation.result_wrapper.empty()) xml.open(operation.result_wrapper);
  write_members(xml, operation.output, &output, ec2);
  if (!operation.result_wrapper.empty()) xml.close(operation.result_wrapper);
  xml.open("ResponseMetadata").element("RequestId", request_id).close("ResponseMetadata");
  return xml_response(model, 200, xml.close(root).take());
}

http::Response encode_error(const Model& model, const WireError& error, std::string_view request_id) {
  const int status = wire_status(model, error);
  XmlWriter xml;
  if (is_ec2(model)) {
    xml.open("Response").open("Errors").open("Error");
    xml.element("Code", wire_code(model, error)).element("Message", error.message);
    xml.close("Error").close("Errors").element("RequestID", request_id).close("Response");
    return xml_response(model, status, xml.take());
  }
  xml.open("ErrorResponse", xml_namespace(model)).open("Error");
  xml.element("Type", status >= 500 ? "Receiver" : "Sender");
  xml.element("Code", wire_code(model, error)).element("Message", error.message);
  write_members(xml, model.error(error.code), error.members.get(), false);
  xml.close("Error").element("RequestId", request_id).close("ErrorResponse");
  return xml_response(model, status, xml.take());
}

}  // namespace berth::protocol::query

// A request to a service, by its first line: which operation, its input by the shape tables, their limits, the answer to an
// error.
#include "broker/protocol/codec.hpp"

#include <nlohmann/json.hpp>

#include "broker/protocol/form.hpp"
#include "broker/protocol/json_value.hpp"
#include "broker/protocol/validation.hpp"
#include "tests/fuzz/targets/target.hpp"

namespace berth::fuzz {
namespace {

void refused(const protocol::Model& model, const protocol::WireError& error) {
  const http::Response response = encode_error(model, error, "request");
  require(response.status >= 400, "an error's status says so");
  require(!response.body.empty(), "an error has a body");
}

void forms(std::string_view body) {
  const auto parameters = protocol::parse_form(body);
  if (!parameters) return;
  if (const auto tree = protocol::form_tree(*parameters))
    for (const protocol::FormNode* node : tree->numbered()) require(node != nullptr, "numbered children are there");
}

}  // namespace

void codec(std::string_view input) {
  const protocol::Model* model = protocol::Model::find(take_line(input));
  if (model == nullptr) return;
  const http::Request request = take_request(input);
  forms(request.body);
  const auto operation = operation_of(*model, request);
  if (!operation) return refused(*model, operation.error());
  const auto decoded = decode(*model, **operation, request);
  if (!decoded) return refused(*model, decoded.error());
  require(decoded->is_object() || decoded->is_null(), "an input is a structure");
  require(!protocol::dump(*decoded).empty(), "an input can be written down");
  if (const auto wrong = validate(*model, **operation, *decoded)) refused(*model, *wrong);
}

}  // namespace berth::fuzz

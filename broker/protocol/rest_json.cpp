#include "broker/protocol/rest_json.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include <fmt/format.h>

#include "broker/base/encoding.hpp"
#include "broker/protocol/form.hpp"
#include "broker/protocol/json_value.hpp"
#include "broker/protocol/text_value.hpp"
#include "broker/protocol/uri_template.hpp"

namespace berth::protocol::rest_json {

using Json = nlohmann::json;

namespace {

std::unexpected<WireError> malformed(std::string message) {
  return std::unexpected(fault(Protocol::rest_json, Fault::malformed, std::move(message)));
}

const std::string& wire_name(const Member& member) { return member.wire_name.empty() ? member.name : member.wire_name; }

// Values of one name: a scalar's first, a list's all. nullopt where there is none.
using Values = std::vector<std::string_view>;

Decoded<Json> from_values(const Member& member, const Values& values) {
  const bool is_list = member.shape->type == Type::list;
  const Shape& scalar = is_list ? *member.shape->element.shape : *member.shape;
  Json out = Json::array();
  for (const std::string_view value : values) {
    auto read = scalar_from_text(scalar, value);
    if (!read) return malformed(fmt::format("`{}` at {} can not be converted to {}", value, wire_name(member), read.error()));
    if (!is_list) return std::move(*read);
    out.push_back(std::move(*read));
  }
  return out;
}

Values values_of(const Parameters& parameters, std::string_view name) {
  Values out;
  for (const auto& [key, value] : parameters) {
    if (key == name) out.push_back(value);
  }
  return out;
}

Values header_values(const http::Headers& headers, std::string_view name) {
  Values out;
  for (const auto& [key, value] : headers) {
    if (http::equal_ignoring_case(key, name)) out.push_back(value);
  }
  return out;
}

Json prefixed_headers(const http::Headers& headers, std::string_view prefix) {
  Json out = Json::object();
  for (const auto& [key, value] : headers) {
    const std::string_view name = key;
    if (name.size() > prefix.size() && http::equal_ignoring_case(name.substr(0, prefix.size()), prefix)) {
      out[std::string(name.substr(prefix.size()))] = value;
    }
  }
  return out;
}

// `?tag-a=1&tag-b=2` for a member that is a map: every parameter that no other member takes.
Json all_parameters(const Shape& input, const Parameters& parameters) {
  Json out = Json::object();
  for (const auto& [name, value] : parameters) {
    const bool taken = std::ranges::any_of(input.members, [&](const Member& m) {
      return m.place == Place::query && m.shape->type != Type::map && wire_name(m) == name;
    });
    if (!taken) out[name] = value;
  }
  return out;
}

Decoded<Json> decode_body(const Shape& input, const http::Request& request) {
  const Member* payload = input.payload.empty() ? nullptr : input.find(input.payload);
  if (payload && payload->shape->type == Type::blob) return Json{{payload->name, base64_encode(request.body)}};
  if (payload && payload->shape->type == Type::string) return Json{{payload->name, request.body}};
  auto wire = parse_object(request.body);
  if (!wire) return malformed(wire.error());
  auto read = from_json(payload ? *payload->shape : input, *wire);
  if (!read) return malformed(read.error());
  if (!payload) return std::move(*read);
  return request.body.empty() ? Json::object() : Json{{payload->name, std::move(*read)}};
}

http::Response json_response(int status, std::string body) {
  return {status, {{"Content-Type", "application/json"}}, std::move(body)};
}

void encode_header(http::Response& response, const Member& member, const Json& value) {
  if (member.place == Place::status_code && value.is_number_integer()) response.status = value.get<int>();
  if (member.place == Place::header) {
    response.headers.emplace_back(wire_name(member), scalar_to_text(*member.shape, value, TimeFormat::http_date));
  }
  if (member.place == Place::header_prefix && value.is_object()) {
    for (const auto& [name, item] : value.items()) {
      response.headers.emplace_back(wire_name(member) + name,
                                    scalar_to_text(*member.shape->value.shape, item, TimeFormat::http_date));
    }
  }
}

std::string encode_body(const Shape& output, const Json& value) {
  const Member* payload = output.payload.empty() ? nullptr : output.find(output.payload);
  if (!payload) return dump(to_json(output, value));
  const auto found = value.find(payload->name);
  if (found == value.end()) return {};
  if (payload->shape->type == Type::blob) return base64_decode(found->get<std::string>()).value_or(std::string{});
  if (payload->shape->type == Type::string) return found->get<std::string>();
  return dump(to_json(*payload->shape, *found));
}

}  // namespace

Decoded<const OperationModel*> operation_of(const Model& model, const http::Request& request) {
  const OperationModel* best = nullptr;
  int literals = -1;
  for (const auto& [name, operation] : model.operations()) {
    if (operation.method != request.method) continue;
    const auto match = match_uri(operation.uri, request.path(), request.query());
    if (match && match->literals > literals) {
      best = &operation;
      literals = match->literals;
    }
  }
  if (best) return best;
  return std::unexpected(
      fault(Protocol::rest_json, Fault::unknown_operation,
            fmt::format("{} {} is no operation of {} {}", request.method, request.path(), model.name(), model.api_version())));
}

Decoded<Json> decode(const OperationModel& operation, const http::Request& request) {
  if (!operation.input) return Json::object();
  const Shape& shape = *operation.input;
  const auto match = match_uri(operation.uri, request.path(), request.query());
  const auto parameters = parse_form(request.query());
  if (!match || !parameters) return malformed("The URI has a broken % escape");
  auto body = decode_body(shape, request);
  if (!body) return body;
  Json input = std::move(*body);
  for (const Member& member : shape.members) {
    Values values;
    if (member.place == Place::path) {
      const auto label = match->labels.find(wire_name(member));
      if (label != match->labels.end()) values.push_back(label->second);
    } else if (member.place == Place::query && member.shape->type == Type::map) {
      input[member.name] = all_parameters(shape, *parameters);
    } else if (member.place == Place::query) {
      values = values_of(*parameters, wire_name(member));
    } else if (member.place == Place::header) {
      values = header_values(request.headers, wire_name(member));
    } else if (member.place == Place::header_prefix) {
      input[member.name] = prefixed_headers(request.headers, wire_name(member));
    }
    if (values.empty()) continue;
    auto value = from_values(member, values);
    if (!value) return value;
    input[member.name] = std::move(*value);
  }
  return input;
}

http::Response encode(const OperationModel& operation, const Json& output) {
  const Json value = output.is_object() ? output : Json::object();
  http::Response response = json_response(operation.status, {});
  if (operation.output) {
    for (const Member& member : operation.output->members) {
      const auto found = value.find(member.name);
      if (found != value.end() && !found->is_null()) encode_header(response, member, *found);
    }
    response.body = encode_body(*operation.output, value);
  }
  if (response.status == 204 || !operation.output) response = {response.status, {}, {}};
  return response;
}

http::Response encode_error(const Model& model, const WireError& error) {
  const Shape* shape = model.error(error.code);
  const std::string code = wire_code(model, error);
  Json body = shape && error.members && error.members->is_object() ? to_json(*shape, *error.members) : Json::object();
  // EFS says the code in the body too; other services only in the header.
  if (shape && shape->find("ErrorCode")) body["ErrorCode"] = code;
  body[shape && shape->find("message") ? "message" : "Message"] = error.message;
  http::Response response = json_response(wire_status(model, error), dump(body));
  response.headers.emplace_back("x-amzn-ErrorType", code);
  return response;
}

}  // namespace berth::protocol::rest_json

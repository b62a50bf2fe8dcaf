#include "broker/api/unrouted.hpp"

#include <nlohmann/json.hpp>

#include <fmt/format.h>

#include "broker/api/credential_scope.hpp"
#include "broker/protocol/json_value.hpp"
#include "broker/protocol/xml.hpp"

namespace berth::api {

using protocol::XmlWriter;

namespace {

bool has_form(const http::Request& request) {
  const std::string* type = http::find_header(request.headers, "Content-Type");
  return (type && type->starts_with("application/x-www-form-urlencoded")) || request.query().starts_with("Action=");
}

http::Response json_answer(const Unrouted& why, bool targeted) {
  nlohmann::json body{{"message", why.message}};
  if (targeted) body["__type"] = why.code;
  const char* type = targeted ? "application/x-amz-json-1.1" : "application/json";
  return {why.status, {{"Content-Type", type}, {"x-amzn-ErrorType", why.code}}, protocol::dump(body)};
}

http::Response xml_answer(const Unrouted& why, std::string_view request_id, bool s3) {
  XmlWriter xml;
  if (!s3) xml.open("ErrorResponse");
  xml.open("Error");
  if (!s3) xml.element("Type", why.status >= 500 ? "Receiver" : "Sender");
  xml.element("Code", why.code).element("Message", why.message);
  if (s3) xml.element("RequestId", request_id);
  xml.close("Error");
  if (!s3) xml.element("RequestId", request_id).close("ErrorResponse");
  return {why.status, {{"Content-Type", s3 ? "application/xml" : "text/xml"}}, xml.take()};
}

}  // namespace

Unrouted why_unrouted(const http::Request& request, const std::string& known) {
  const std::string service = signed_service(request);
  if (!service.empty()) {
    return {501, "NotImplemented", fmt::format("Berth has no service `{}` yet; it has {}", service, known)};
  }
  if (has_signature(request)) {
    return {400, "IncompleteSignature",
            "The request's signature names no service: its credential must be KEY/DATE/REGION/SERVICE/aws4_request"};
  }
  return {403, "MissingAuthenticationToken", "Missing Authentication Token"};
}

http::Response answer_unrouted(const http::Request& request, const Unrouted& why, std::string_view request_id) {
  const bool targeted = http::find_header(request.headers, "X-Amz-Target") != nullptr;
  const bool s3 = signed_service(request) == "s3";
  http::Response response = !targeted && (s3 || has_form(request)) ? xml_answer(why, request_id, s3) : json_answer(why, targeted);
  response.headers.emplace_back("x-amzn-RequestId", request_id);
  return response;
}

}  // namespace berth::api

// Requests as clients make them, for the tests of the codecs.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "broker/protocol/codec.hpp"
#include "broker/protocol/validation.hpp"

namespace berth::protocol {

using Json = nlohmann::json;

inline const Model& model(const char* name) { return *Model::find(name); }
inline const OperationModel& operation(const char* service, const char* name) { return *model(service).operation(name); }

inline http::Request json_request(const std::string& target, const std::string& body) {
  return {.method = "POST",
          .target = "/",
          .headers = {{"x-amz-target", target}, {"Content-Type", "application/x-amz-json-1.1"}},
          .body = body};
}

inline http::Request form_request(const std::string& body) {
  return {.method = "POST",
          .target = "/",
          .headers = {{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}},
          .body = body};
}

inline http::Request rest_request(const std::string& method, const std::string& target, const std::string& body = {}) {
  return {.method = method, .target = target, .headers = {}, .body = body};
}

inline Json decoded(const char* service, const char* name, const http::Request& request) {
  auto input = decode(model(service), operation(service, name), request);
  if (!input) ADD_FAILURE() << input.error().code << ": " << input.error().message;
  return input ? *input : Json();
}

inline WireError refused(const char* service, const char* name, const http::Request& request) {
  auto input = decode(model(service), operation(service, name), request);
  if (!input) return input.error();
  auto wrong = validate(model(service), operation(service, name), *input);
  if (!wrong) ADD_FAILURE() << "nothing wrong with " << *input;
  return wrong.value_or(WireError{});
}

inline std::string header(const http::Response& response, const char* name) {
  const std::string* found = http::find_header(response.headers, name);
  return found ? *found : std::string{};
}

}  // namespace berth::protocol

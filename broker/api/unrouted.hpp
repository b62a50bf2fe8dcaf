// Answers to requests that no service of Berth is meant by, in the form that their client most likely reads.
#pragma once

#include <string>
#include <string_view>

#include "broker/http/message.hpp"

namespace berth::api {

struct Unrouted {
  int status = 400;
  std::string code;
  std::string message;
};

// What is wrong: a service that Berth doesn't have, or nobody signed. `known` lists the services that there are.
Unrouted why_unrouted(const http::Request& request, const std::string& known);
http::Response answer_unrouted(const http::Request& request, const Unrouted& why, std::string_view request_id);

}  // namespace berth::api

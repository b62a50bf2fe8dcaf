// A plain HTTP request and response, apart from any server: what the protocol codecs and the dispatcher see.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace berth::http {

// Header names keep the case they came with; look-ups ignore it. Repeated headers stay apart, in order.
using Headers = std::vector<std::pair<std::string, std::string>>;

// The first value of `name`; nullptr where there is none.
const std::string* find_header(const Headers& headers, std::string_view name);
// ASCII only, as header names and host names are.
bool equal_ignoring_case(std::string_view a, std::string_view b);

struct Request {
  std::string method;  // "GET", "POST", ...
  std::string target;  // as sent: path, then `?` and query, still percent-encoded
  Headers headers;
  std::string body;      // whole, de-chunked
  std::string peer;      // the client's address, `127.0.0.1`
  std::string listener;  // which listener took it: "front-door", "task:<id>", "admin" (see http::Server::listen)
  bool secure = false;   // came over TLS, or by a link that counts as it (see http::Link)

  std::string_view path() const;   // up to the `?`
  std::string_view query() const;  // behind it; empty where there is none
};

struct Response {
  int status = 200;
  Headers headers;  // Content-Length and Connection are the server's
  std::string body;
};

}  // namespace berth::http

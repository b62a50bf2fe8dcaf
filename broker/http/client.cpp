#include "broker/http/client.hpp"

#include <httplib.h>
#include <sys/socket.h>

namespace berth::http {

struct Client::State {
  State(const std::string& host, int port, std::string description, ClientOptions options)
      : http(host, port), to(std::move(description)) {
    const auto connect_us = std::chrono::microseconds(options.connect_timeout).count();
    const auto read_us = std::chrono::microseconds(options.read_timeout).count();
    http.set_connection_timeout(connect_us / 1'000'000, connect_us % 1'000'000);
    http.set_read_timeout(read_us / 1'000'000, read_us % 1'000'000);
    http.set_keep_alive(true);
    http.set_url_encode(false);
    http.set_tcp_nodelay(true);
  }
  httplib::Client http;
  std::string to;
};

Client::Client(std::unique_ptr<State> state) : state_(std::move(state)) {}
Client::Client(Client&&) noexcept = default;
Client::~Client() = default;

Client Client::tcp(const std::string& host, std::uint16_t port, ClientOptions options) {
  return Client(std::make_unique<State>(host, port, fmt::format("{}:{}", host, port), options));
}

Client Client::unix_socket(const std::string& path, ClientOptions options) {
  auto state = std::make_unique<State>(path, 80, path, options);
  state->http.set_address_family(AF_UNIX);
  return Client(std::move(state));
}

Result<Response> Client::get(const std::string& target, const Headers& headers) { return request("GET", target, headers, {}); }

Result<Response> Client::post(const std::string& target, const Headers& headers, std::string body) {
  return request("POST", target, headers, std::move(body));
}

Result<Response> Client::request(const std::string& method, const std::string& target, const Headers& headers, std::string body) {
  httplib::Request request;
  request.method = method;
  request.path = target;
  for (const auto& [name, value] : headers) request.headers.emplace(name, value);
  // A socket's path is no host name: it would make a header that servers refuse.
  if (!request.has_header("Host") && state_->to.starts_with('/')) request.headers.emplace("Host", "localhost");
  request.body = std::move(body);
  const auto result = state_->http.send(request);
  if (!result) {
    return fail(Code::unavailable, "{} {}: {}", method, state_->to, httplib::to_string(result.error()));
  }
  Response response{result->status, {}, result->body};
  for (const auto& [name, value] : result->headers) response.headers.emplace_back(name, value);
  return response;
}

}  // namespace berth::http

// Client: one server, plain HTTP over TCP or a Unix socket. For the command line and for tests; a thread at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "broker/base/error.hpp"
#include "broker/http/message.hpp"

namespace berth::http {

struct ClientOptions {
  std::chrono::milliseconds connect_timeout{5'000};
  std::chrono::milliseconds read_timeout{60'000};
};

class Client {
 public:
  static Client tcp(const std::string& host, std::uint16_t port, ClientOptions options = {});
  static Client unix_socket(const std::string& path, ClientOptions options = {});
  Client(Client&&) noexcept;
  ~Client();

  // Any answer, whatever its status, is a Response; only its absence is an error (Code::unavailable).
  // `target` is sent as it is: path and query, percent-encoded. Header values of answers come percent-decoded (cpp-httplib).
  Result<Response> get(const std::string& target, const Headers& headers = {});
  Result<Response> post(const std::string& target, const Headers& headers, std::string body);
  Result<Response> request(const std::string& method, const std::string& target, const Headers& headers, std::string body);

 private:
  struct State;
  explicit Client(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace berth::http

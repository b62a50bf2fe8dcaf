// Server: HTTP/1.1 on TCP ports, Unix sockets and inherited listening sockets, each a listener with a name.
//
// A few I/O threads read and write; handlers run on a pool of workers and may block. A worker is busy only between the whole
// request and the answer: a client that is slow or idle holds a connection (limited for each listener), never a thread.
// Thread-safe. No function may be called from a handler of the listener that it stops.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "broker/base/error.hpp"
#include "broker/http/message.hpp"

namespace berth::http {

struct ServerOptions {
  std::uint32_t header_bytes_max = 64 * 1024;        // longer: 431
  std::uint64_t body_bytes_max = 8 * 1024 * 1024;    // longer: 413
  std::size_t connections_max = 4096;                // for each listener; one more is answered 503 and closed
  std::chrono::milliseconds header_timeout{10'000};  // from the first byte of a request to the end of its header
  std::chrono::milliseconds body_timeout{60'000};    // the whole body
  std::chrono::milliseconds idle_timeout{75'000};    // between requests of a connection
  std::chrono::milliseconds write_timeout{60'000};   // the whole answer
  unsigned io_threads = 2;
  unsigned workers = 16;
};

// Answers a request, once, from any thread. Dropped unused, it answers 500.
using Respond = std::function<void(Response)>;
using Handler = std::function<Response(const Request&)>;
// For answers that wait for something (long polls): holds no worker after it has returned.
using AsyncHandler = std::function<void(Request, Respond)>;

// What is known beforehand of all requests that one listener takes.
struct Link {
  bool secure = false;  // Request::secure
  std::string peer;     // Request::peer; empty: the address that the socket names
};

class Server {
 public:
  explicit Server(ServerOptions options = {});
  ~Server();  // as stop()
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Listeners. `name` must be free; it ends up in Request::listener. Handlers that throw are answered 500.
  // Answers the port, which the kernel chose where `port` is 0.
  Result<std::uint16_t> listen_tcp(const std::string& name, const std::string& address, std::uint16_t port, AsyncHandler handler);
  Result<std::uint16_t> listen_tcp(const std::string& name, const std::string& address, std::uint16_t port, Handler handler);
  Result<> listen_unix(const std::string& name, const std::string& path, unsigned mode, Handler handler);
  // A socket that already listens, e.g. one opened in another network namespace. It is duplicated: `fd` stays the caller's,
  // becomes non-blocking and keeps queueing connections until its last copy is closed.
  Result<> adopt(const std::string& name, int fd, Handler handler, Link link = {});

  // Returns when the listener takes no connection any more and none of its own is served. Requests that a handler has got
  // are answered first; idle connections and half-read requests are cut. A name that isn't there is fine.
  void stop_listening(const std::string& name);
  // All listeners, then the threads. Afterwards nothing can be listened on.
  void stop();

  // Connections that are open now on `name`.
  std::size_t connections(const std::string& name) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace berth::http

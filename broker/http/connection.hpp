// Connection: one client's requests, one after the other. Listener: a listening socket and the connections it took.
//
// Internal to broker/http: only connection.cpp and server.cpp include it. Everything of a connection runs on its strand, but
// for the handler. Whoever waits for something holds a shared_ptr to it: when nothing is awaited any more, it dies and tells
// its listener.
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "broker/base/unique_fd.hpp"
#include "broker/http/server.hpp"

namespace berth::http {

namespace asio = boost::asio;
namespace beast = boost::beast;

// What all listeners of a server share.
struct Engine {
  explicit Engine(ServerOptions o) : options(o), io(static_cast<int>(o.io_threads)), workers(o.workers) {}
  ServerOptions options;
  asio::io_context io;
  asio::thread_pool workers;
};

class Connection;

class Listener : public std::enable_shared_from_this<Listener> {
 public:
  Listener(Engine& engine, std::string name, UniqueFd fd, AsyncHandler handler, Link link);
  void start();
  // Takes no more connections, cuts those that are not being answered, waits for the rest.
  void stop();
  std::size_t connections() const;

  const std::string& name() const { return name_; }
  const AsyncHandler& handler() const { return handler_; }
  const Link& link() const { return link_; }
  Engine& engine() { return engine_; }
  void gone(const Connection* connection);

 private:
  void wait_for_client();
  void accept_waiting();
  // False: the queue is empty, or accepting must pause.
  bool accept_one();
  void welcome(UniqueFd client);
  void pause();
  void stopped_accepting();

  Engine& engine_;
  const std::string name_;
  const AsyncHandler handler_;
  const Link link_;
  asio::strand<asio::io_context::executor_type> strand_;
  asio::posix::stream_descriptor socket_;
  asio::steady_timer pause_timer_;

  mutable std::mutex mutex_;
  std::condition_variable idle_;
  bool accepting_ = true;
  bool stopping_ = false;
  std::map<const Connection*, std::weak_ptr<Connection>> connections_;
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<Listener> listener, UniqueFd client);
  ~Connection() { listener_->gone(this); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Both from any thread.
  void start();
  void cut();

 private:
  using Stream = beast::basic_stream<asio::generic::stream_protocol, asio::strand<asio::io_context::executor_type>>;
  using Parser = beast::http::request_parser<beast::http::string_body>;
  using Answer = beast::http::response<beast::http::string_body>;
  enum class Phase { reading, handling, writing };

  void await_request();
  void read_header();
  void on_header();
  void send_continue();
  void read_body();
  void hand_over();
  void answer(Response response, bool keep_alive);
  void on_written(bool keep_alive);
  void lose_patience();
  // An answer to what is no request; then the connection is closed.
  void reject(const boost::system::error_code& why);
  // Closing while the client still sends would reset the connection and lose the answer: reads on for a moment.
  void drain();
  Request take_request();

  std::shared_ptr<Listener> listener_;
  const ServerOptions& options_;
  Stream stream_;
  const std::string peer_;
  beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  std::optional<Answer> answer_;
  std::optional<asio::steady_timer> patience_;  // with a client that doesn't read its last answer
  Phase phase_ = Phase::reading;
  bool first_ = true;
  bool cut_ = false;
  bool head_only_ = false;
  unsigned version_ = 11;
};

}  // namespace berth::http

#include "broker/http/server.hpp"

#include <boost/asio/executor_work_guard.hpp>

#include <thread>

#include "broker/http/connection.hpp"
#include "broker/http/socket.hpp"

namespace berth::http {

struct Server::State {
  explicit State(ServerOptions options) : engine(options), work(engine.io.get_executor()) {
    for (unsigned i = 0; i < options.io_threads; ++i) threads.emplace_back([this] { engine.io.run(); });
  }

  Result<> add(const std::string& name, UniqueFd fd, AsyncHandler handler, Link link = {}) {
    auto listener = std::make_shared<Listener>(engine, name, std::move(fd), std::move(handler), std::move(link));
    const std::lock_guard lock(mutex);
    if (stopped) return fail(Code::failed_precondition, "the server has stopped");
    if (!listeners.emplace(name, listener).second) return fail(Code::already_exists, "there is a listener `{}`", name);
    listener->start();
    return {};
  }

  std::shared_ptr<Listener> take(const std::string& name) {
    const std::lock_guard lock(mutex);
    auto node = listeners.extract(name);
    return node.empty() ? nullptr : node.mapped();
  }

  Engine engine;
  asio::executor_work_guard<asio::io_context::executor_type> work;
  std::vector<std::jthread> threads;
  mutable std::mutex mutex;
  std::map<std::string, std::shared_ptr<Listener>> listeners;
  bool stopped = false;
};

namespace {

AsyncHandler answering_at_once(Handler handler) {
  return [handler = std::move(handler)](const Request& request, const Respond& respond) { respond(handler(request)); };
}

}  // namespace

Server::Server(ServerOptions options) : state_(std::make_unique<State>(options)) {}

Server::~Server() { stop(); }

Result<std::uint16_t> Server::listen_tcp(const std::string& name, const std::string& address, std::uint16_t port,
                                         AsyncHandler handler) {
  auto socket = listen_tcp_socket(address, port);
  if (!socket) return fail(socket.error());
  const auto chosen = port_of(socket->get());
  auto added = state_->add(name, std::move(*socket), std::move(handler));
  if (!added) return fail(added.error());
  return chosen;
}

Result<std::uint16_t> Server::listen_tcp(const std::string& name, const std::string& address, std::uint16_t port,
                                         Handler handler) {
  return listen_tcp(name, address, port, answering_at_once(std::move(handler)));
}

Result<> Server::listen_unix(const std::string& name, const std::string& path, unsigned mode, Handler handler) {
  auto socket = listen_unix_socket(path, mode);
  if (!socket) return fail(socket.error());
  return state_->add(name, std::move(*socket), answering_at_once(std::move(handler)));
}

Result<> Server::adopt(const std::string& name, int fd, Handler handler, Link link) {
  auto socket = duplicate_listening_socket(fd);
  if (!socket) return fail(socket.error());
  return state_->add(name, std::move(*socket), answering_at_once(std::move(handler)), std::move(link));
}

void Server::stop_listening(const std::string& name) {
  // The name is free only afterwards in effect: whoever listens again on it gets a new Listener either way.
  if (auto listener = state_->take(name)) listener->stop();
}

void Server::stop() {
  std::map<std::string, std::shared_ptr<Listener>> all;
  {
    const std::lock_guard lock(state_->mutex);
    if (std::exchange(state_->stopped, true)) return;
    all.swap(state_->listeners);
  }
  for (auto& [_, listener] : all) listener->stop();
  all.clear();
  state_->work.reset();
  state_->threads.clear();  // joins
  state_->engine.workers.join();
}

std::size_t Server::connections(const std::string& name) const {
  const std::lock_guard lock(state_->mutex);
  const auto found = state_->listeners.find(name);
  return found == state_->listeners.end() ? 0 : found->second->connections();
}

}  // namespace berth::http

#include <sys/socket.h>

#include <boost/asio/post.hpp>

#include <cerrno>

#include "broker/base/log.hpp"
#include "broker/http/connection.hpp"

namespace berth::http {

namespace {

// After running out of descriptors or memory: clients wait in the kernel's queue meanwhile.
constexpr std::chrono::milliseconds kPause{100};
constexpr std::string_view kFull =
    "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n";

}  // namespace

Listener::Listener(Engine& engine, std::string name, UniqueFd fd, AsyncHandler handler, Link link)
    : engine_(engine),
      name_(std::move(name)),
      handler_(std::move(handler)),
      link_(std::move(link)),
      strand_(asio::make_strand(engine.io)),
      socket_(strand_, fd.release()),
      pause_timer_(strand_) {}

void Listener::start() {
  asio::post(strand_, [self = shared_from_this()] { self->wait_for_client(); });
}

void Listener::wait_for_client() {
  socket_.async_wait(asio::posix::descriptor_base::wait_read, [self = shared_from_this()](boost::system::error_code why) {
    if (why) return self->stopped_accepting();
    self->accept_waiting();
  });
}

void Listener::accept_waiting() {
  // A burst is taken in portions, so that one busy listener leaves the I/O thread to others in between.
  constexpr int kPortion = 64;
  for (int i = 0; i < kPortion; ++i) {
    if (!socket_.is_open()) return stopped_accepting();
    if (!accept_one()) {
      const bool out_of_something = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
      return out_of_something ? pause() : wait_for_client();
    }
  }
  wait_for_client();
}

bool Listener::accept_one() {
  UniqueFd client(::accept4(socket_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!client) return errno == ECONNABORTED || errno == EINTR;
  welcome(std::move(client));
  return true;
}

void Listener::welcome(UniqueFd client) {
  std::shared_ptr<Connection> connection;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    if (connections_.size() < engine_.options.connections_max) {
      connection = std::make_shared<Connection>(shared_from_this(), std::move(client));
      connections_.emplace(connection.get(), connection);
    }
  }
  if (connection) return connection->start();
  // NOLINTNEXTLINE(bugprone-use-after-move): moved only where a connection took it
  (void)::send(client.get(), kFull.data(), kFull.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void Listener::pause() {
  log::warning("no connection can be taken", {{"listener", name_}, {"errno", errno}});
  pause_timer_.expires_after(kPause);
  pause_timer_.async_wait([self = shared_from_this()](boost::system::error_code) {
    if (!self->socket_.is_open()) return self->stopped_accepting();
    self->wait_for_client();
  });
}

void Listener::stopped_accepting() {
  socket_.close();
  const std::lock_guard lock(mutex_);
  accepting_ = false;
  idle_.notify_all();
}

void Listener::gone(const Connection* connection) {
  const std::lock_guard lock(mutex_);
  connections_.erase(connection);
  idle_.notify_all();
}

std::size_t Listener::connections() const {
  const std::lock_guard lock(mutex_);
  return connections_.size();
}

void Listener::stop() {
  asio::post(strand_, [self = shared_from_this()] {
    self->socket_.close();
    self->pause_timer_.cancel();
  });
  std::vector<std::shared_ptr<Connection>> open;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const auto& [_, connection] : connections_) {
      if (auto held = connection.lock()) open.push_back(std::move(held));
    }
  }
  for (const auto& connection : open) connection->cut();
  open.clear();
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [this] { return !accepting_ && connections_.empty(); });
}

}  // namespace berth::http

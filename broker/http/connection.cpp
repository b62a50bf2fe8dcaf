#include "broker/http/connection.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>

#include <atomic>

#include "broker/base/log.hpp"
#include "broker/http/socket.hpp"

namespace berth::http {

namespace {

using boost::system::error_code;

constexpr std::size_t kReadAhead = 8 * 1024;
constexpr std::chrono::seconds kDrainTime{2};
constexpr std::chrono::seconds kPatience{1};
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

asio::generic::stream_protocol protocol_of(int fd) {
  int family = AF_INET;
  socklen_t length = sizeof family;
  ::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &length);
  if (family == AF_UNIX) return {AF_UNIX, 0};
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return {family, IPPROTO_TCP};
}

std::string text(beast::string_view view) { return {view.data(), view.size()}; }

// A header value can't end its line: what a handler echoes of a client's text stays text.
std::string one_line(const std::string& value) {
  std::string clean = value;
  std::erase_if(clean, [](char c) { return static_cast<unsigned char>(c) < 0x20 && c != '\t'; });
  return clean;
}

bool has_no_body(int status) { return status < 200 || status == 204 || status == 304; }

Response plain_error(int status, std::string_view message) {
  return {status, {{"Content-Type", "application/json"}}, fmt::format("{{\"message\":\"{}\"}}", message)};
}

// The answer to a request that could not be read; nullopt where nobody is there to read one.
std::optional<Response> answer_to(const error_code& why, const ServerOptions& options) {
  using beast::http::error;
  if (why == error::header_limit || why == error::buffer_overflow) {
    return plain_error(431, fmt::format("the request's header is longer than {} bytes", options.header_bytes_max));
  }
  if (why == error::body_limit) {
    return plain_error(413, fmt::format("the request's body is longer than {} bytes", options.body_bytes_max));
  }
  const bool syntax = why.category() == beast::http::make_error_code(error::bad_method).category();
  if (!syntax || why == error::end_of_stream || why == error::partial_message) return std::nullopt;
  return plain_error(400, "this is not a request of HTTP/1.1");
}

// What a handler gets: answers once, and answers 500 when it is dropped unused.
class Pending {
 public:
  explicit Pending(Respond send) : send_(std::move(send)) {}
  Pending(const Pending&) = delete;
  Pending& operator=(const Pending&) = delete;
  ~Pending() { respond(plain_error(500, "the request was dropped without an answer")); }
  void respond(Response response) {
    if (!done_.exchange(true)) send_(std::move(response));
  }

 private:
  Respond send_;
  std::atomic<bool> done_ = false;
};

void run(const AsyncHandler& handler, Request request, const Respond& respond) {
  try {
    handler(std::move(request), respond);
  } catch (const std::exception& failure) {
    log::error("handler threw", {{"what", failure.what()}});
    respond(plain_error(500, "internal failure"));
  }
}

}  // namespace

Connection::Connection(std::shared_ptr<Listener> listener, UniqueFd client)
    : listener_(std::move(listener)),
      options_(listener_->engine().options),
      stream_(asio::make_strand(listener_->engine().io), protocol_of(client.get()), client.get()),
      peer_(listener_->link().peer.empty() ? peer_of(client.get()) : listener_->link().peer),
      buffer_(options_.header_bytes_max + kReadAhead) {
  (void)client.release();  // the stream's now
}

void Connection::start() {
  asio::post(stream_.get_executor(), [self = shared_from_this()] { self->await_request(); });
}

void Connection::cut() {
  asio::post(stream_.get_executor(), [self = shared_from_this()] {
    self->cut_ = true;
    if (self->phase_ == Phase::reading) self->stream_.close();
    if (self->phase_ == Phase::writing) self->lose_patience();
  });
}

void Connection::lose_patience() {
  patience_.emplace(stream_.get_executor(), kPatience);
  patience_->async_wait([weak = weak_from_this()](error_code why) {
    const auto self = why ? nullptr : weak.lock();
    if (self) self->stream_.close();
  });
}

void Connection::await_request() {
  phase_ = Phase::reading;
  if (cut_) return;
  if (buffer_.size() > 0) return read_header();  // the client did not wait for our answer
  stream_.expires_after(std::exchange(first_, false) ? options_.header_timeout : options_.idle_timeout);
  stream_.async_read_some(buffer_.prepare(kReadAhead), [self = shared_from_this()](error_code why, std::size_t size) {
    if (why) return;
    self->buffer_.commit(size);
    self->read_header();
  });
}

void Connection::read_header() {
  parser_.emplace();
  parser_->header_limit(options_.header_bytes_max);
  parser_->body_limit(options_.body_bytes_max);
  stream_.expires_after(options_.header_timeout);
  beast::http::async_read_header(stream_, buffer_, *parser_, [self = shared_from_this()](error_code why, std::size_t) {
    if (why) return self->reject(why);
    self->on_header();
  });
}

void Connection::on_header() {
  if (cut_) return;
  stream_.expires_after(options_.body_timeout);
  const auto& header = parser_->get();
  version_ = header.version();
  head_only_ = header.method() == beast::http::verb::head;
  const bool waits = beast::iequals(header[beast::http::field::expect], "100-continue");
  if (waits && !parser_->is_done()) return send_continue();
  read_body();
}

void Connection::send_continue() {
  asio::async_write(stream_, asio::buffer(kContinue), [self = shared_from_this()](error_code why, std::size_t) {
    if (!why) self->read_body();
  });
}

void Connection::read_body() {
  beast::http::async_read(stream_, buffer_, *parser_, [self = shared_from_this()](error_code why, std::size_t) {
    if (why) return self->reject(why);
    self->hand_over();
  });
}

Request Connection::take_request() {
  auto message = parser_->release();
  Request request;
  request.method = text(message.method_string());
  request.target = text(message.target());
  for (const auto& field : message) request.headers.emplace_back(text(field.name_string()), text(field.value()));
  request.body = std::move(message.body());
  request.peer = peer_;
  request.listener = listener_->name();
  request.secure = listener_->link().secure;
  return request;
}

void Connection::hand_over() {
  if (cut_) return;
  phase_ = Phase::handling;
  stream_.expires_never();
  const bool keep_alive = parser_->get().keep_alive();
  auto send = [self = shared_from_this(), keep_alive](Response response) {
    asio::post(self->stream_.get_executor(),
               [self, keep_alive, response = std::move(response)]() mutable { self->answer(std::move(response), keep_alive); });
  };
  auto pending = std::make_shared<Pending>(std::move(send));
  Respond respond = [pending](Response response) { pending->respond(std::move(response)); };
  asio::post(listener_->engine().workers,
             [listener = listener_, request = take_request(), respond = std::move(respond)]() mutable {
               run(listener->handler(), std::move(request), respond);
             });
}

void Connection::answer(Response response, bool keep_alive) {
  phase_ = Phase::writing;
  auto& out = answer_.emplace();
  out.version(version_);
  out.result(static_cast<unsigned>(response.status));
  for (const auto& [name, value] : response.headers) out.insert(one_line(name), one_line(value));
  keep_alive = keep_alive && !cut_;
  out.keep_alive(keep_alive);
  if (has_no_body(response.status)) {
    out.content_length(boost::none);
  } else if (head_only_) {
    out.content_length(response.body.size());
  } else {
    out.body() = std::move(response.body);
    out.content_length(out.body().size());
  }
  stream_.expires_after(cut_ ? kPatience : options_.write_timeout);
  beast::http::async_write(stream_, out, [self = shared_from_this(), keep_alive](error_code why, std::size_t) {
    if (!why) self->on_written(keep_alive);
  });
}

void Connection::on_written(bool keep_alive) {
  answer_.reset();
  if (keep_alive) return await_request();
  error_code ignored;
  (void)stream_.socket().shutdown(asio::socket_base::shutdown_send, ignored);
  stream_.expires_after(kDrainTime);
  phase_ = Phase::reading;
  if (!cut_) drain();
}

void Connection::reject(const error_code& why) {
  auto response = answer_to(why, options_);
  if (response && !cut_) answer(std::move(*response), false);
}

void Connection::drain() {
  buffer_.clear();
  stream_.async_read_some(buffer_.prepare(kReadAhead), [self = shared_from_this()](error_code why, std::size_t) {
    if (!why) self->drain();
  });
}

}  // namespace berth::http

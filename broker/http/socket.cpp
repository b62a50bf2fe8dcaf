#include "broker/http/socket.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace berth::http {

namespace {

// As much as the kernel gives (net.core.somaxconn).
constexpr int kBacklog = 4096;
constexpr int kKind = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;

struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
};

Result<Address> tcp_address(const std::string& text, std::uint16_t port) {
  Address address;
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  if (inet_pton(AF_INET, text.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&address.storage, &v4, sizeof v4);
    address.length = sizeof v4;
  } else if (inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    std::memcpy(&address.storage, &v6, sizeof v6);
    address.length = sizeof v6;
  } else {
    return fail(Code::invalid_argument, "`{}` is not an IPv4 or IPv6 address", text);
  }
  return address;
}

Result<Address> unix_address(const std::string& path) {
  sockaddr_un un{};
  if (path.empty() || path.size() >= sizeof un.sun_path) {
    return fail(Code::invalid_argument, "`{}` is no path for a socket: it must have 1 to {} bytes", path, sizeof un.sun_path - 1);
  }
  un.sun_family = AF_UNIX;
  path.copy(un.sun_path, sizeof un.sun_path - 1);
  Address address;
  std::memcpy(&address.storage, &un, sizeof un);
  address.length = sizeof un;
  return address;
}

bool nobody_listens(Address address) {
  const UniqueFd probe(::socket(AF_UNIX, kKind, 0));
  return ::connect(probe.get(), address.get(), address.length) < 0 && errno == ECONNREFUSED;
}

}  // namespace

Result<UniqueFd> listen_tcp_socket(const std::string& text, std::uint16_t port) {
  auto address = tcp_address(text, port);
  if (!address) return fail(address.error());
  UniqueFd fd(::socket(address->family(), kKind, 0));
  if (!fd) return fail_errno(errno, "socket");
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(fd.get(), address->get(), address->length) < 0 || ::listen(fd.get(), kBacklog) < 0) {
    return fail_errno(errno, fmt::format("listen on {} port {}", text, port));
  }
  return fd;
}

Result<UniqueFd> listen_unix_socket(const std::string& path, unsigned mode) {
  auto address = unix_address(path);
  if (!address) return fail(address.error());
  UniqueFd fd(::socket(AF_UNIX, kKind, 0));
  if (!fd) return fail_errno(errno, "socket");
  int bound = ::bind(fd.get(), address->get(), address->length);
  if (bound < 0 && errno == EADDRINUSE && nobody_listens(*address)) {
    ::unlink(path.c_str());
    bound = ::bind(fd.get(), address->get(), address->length);
  }
  // The mode is set before listen(2): nobody can connect to the socket while it is open to more than it should be.
  if (bound < 0 || ::chmod(path.c_str(), mode) < 0 || ::listen(fd.get(), kBacklog) < 0) {
    return fail_errno(errno, fmt::format("listen on {}", path));
  }
  return fd;
}

Result<UniqueFd> duplicate_listening_socket(int fd) {
  int listening = 0;
  socklen_t length = sizeof listening;
  if (::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) < 0) return fail_errno(errno, "adopt a socket");
  if (listening == 0) return fail(Code::invalid_argument, "descriptor {} is a socket that doesn't listen", fd);
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!copy) return fail_errno(errno, "duplicate a socket");
  const int flags = ::fcntl(copy.get(), F_GETFL);
  ::fcntl(copy.get(), F_SETFL, flags | O_NONBLOCK);
  return copy;
}

std::uint16_t port_of(int fd) {
  Address address;
  address.length = sizeof address.storage;
  if (::getsockname(fd, address.get(), &address.length) < 0) return 0;
  if (address.family() == AF_INET) return ntohs(reinterpret_cast<sockaddr_in*>(address.get())->sin_port);
  if (address.family() == AF_INET6) return ntohs(reinterpret_cast<sockaddr_in6*>(address.get())->sin6_port);
  return 0;
}

std::string peer_of(int fd) {
  Address address;
  address.length = sizeof address.storage;
  if (::getpeername(fd, address.get(), &address.length) < 0) return {};
  if (address.family() == AF_UNIX) return "unix";
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.family() == AF_INET) {
    inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in*>(address.get())->sin_addr, text.data(), text.size());
  } else {
    inet_ntop(AF_INET6, &reinterpret_cast<sockaddr_in6*>(address.get())->sin6_addr, text.data(), text.size());
  }
  const std::string peer = text.data();
  return peer.starts_with("::ffff:") && peer.contains('.') ? peer.substr(7) : peer;
}

}  // namespace berth::http

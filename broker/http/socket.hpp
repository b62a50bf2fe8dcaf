// Listening sockets by plain system calls, so that TCP, Unix and inherited descriptors are served alike.
#pragma once

#include <cstdint>
#include <string>

#include "broker/base/error.hpp"
#include "broker/base/unique_fd.hpp"

namespace berth::http {

// A listening socket on `address` (IPv4 or IPv6 literal); port 0 lets the kernel choose.
Result<UniqueFd> listen_tcp_socket(const std::string& address, std::uint16_t port);
// A listening socket at `path`, made with `mode`. A socket file that nobody listens on any more is replaced.
Result<UniqueFd> listen_unix_socket(const std::string& path, unsigned mode);
// A duplicate of `fd`, which must be a listening stream socket.
Result<UniqueFd> duplicate_listening_socket(int fd);

// The port that a TCP socket is bound to; 0 for any other.
std::uint16_t port_of(int fd);
// The peer's address without the port, IPv4 where it is mapped; `unix` for a Unix socket.
std::string peer_of(int fd);

}  // namespace berth::http

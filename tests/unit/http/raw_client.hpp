// A client that speaks bytes: for requests that no proper client would send. Each read waits for the server, never for time.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "broker/base/unique_fd.hpp"

namespace berth::http {

class RawClient {
 public:
  explicit RawClient(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  bool connected() const { return connected_; }
  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  void finish_sending() { ::shutdown(fd_.get(), SHUT_WR); }
  // Everything until the server closes.
  std::string read_all() {
    while (read_some()) {
    }
    return std::exchange(read_, {});
  }
  // Everything up to and with `mark`, or to the end.
  std::string read_until(std::string_view mark) {
    while (read_.find(mark) == std::string::npos && read_some()) {
    }
    const auto at = read_.find(mark);
    std::string head = read_.substr(0, at == std::string::npos ? at : at + mark.size());
    read_.erase(0, head.size());
    return head;
  }

 private:
  bool read_some() {
    std::array<char, 4096> bytes{};
    const auto size = ::recv(fd_.get(), bytes.data(), bytes.size(), 0);
    if (size <= 0) return false;
    read_.append(bytes.data(), static_cast<std::size_t>(size));
    return true;
  }

  UniqueFd fd_;
  bool connected_ = false;
  std::string read_;
};

}  // namespace berth::http

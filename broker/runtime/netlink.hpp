// Rtnetlink: the few requests to the kernel's network configuration that a task's network needs (rtnetlink(7)).
// A socket of the network namespace that the calling thread was in when it was opened. For one thread at a time.
#pragma once

#include <cstdint>
#include <string>

#include "broker/base/error.hpp"
#include "broker/base/unique_fd.hpp"

namespace berth::runtime {

class Rtnetlink {
 public:
  static Result<Rtnetlink> open();

  Result<> set_up(const std::string& device);
  Result<> add_address(const std::string& device, const std::string& address, unsigned prefix_length);
  // 0.0.0.0/0 by `gateway`.
  Result<> add_default_route(const std::string& device, const std::string& gateway);
  // `address`/32 lies behind `device`; replaces another such route.
  Result<> set_host_route(const std::string& device, const std::string& address);
  Result<> remove_host_route(const std::string& address);
  // A pair: `device` with `mac` here, `peer` in the network namespace open at `peer_namespace`.
  Result<> add_veth(const std::string& device, const std::string& mac, const std::string& peer, int peer_namespace);

 private:
  explicit Rtnetlink(UniqueFd fd) : fd_(std::move(fd)) {}
  class Request;
  Result<> send(Request& request, const std::string& what);

  UniqueFd fd_;
  std::uint32_t sequence_ = 0;
};

}  // namespace berth::runtime

// Work inside a network namespace: on a thread of its own that ends with it, so that no other thread ever leaves the host's.
#pragma once

#include <functional>
#include <string>

#include "broker/base/error.hpp"
#include "broker/base/unique_fd.hpp"

namespace berth::runtime {

// A new network namespace, held by a bind mount at `path` until that is detached. IPv6 is off, lo is up.
Result<> make_network_namespace(const std::string& path);
// Runs `work` inside the one held at `path`.
Result<> in_network_namespace(const std::string& path, const std::function<Result<>()>& work);
// Detaches and removes; what is not there is fine.
void drop_network_namespace(const std::string& path) noexcept;

// A listening TCP socket of the calling thread's namespace, non-blocking. With `device` only what comes in there is heard.
Result<UniqueFd> listen_at(const std::string& address, unsigned port, const std::string& device = {});

}  // namespace berth::runtime

// What lies between the zones (fuse::zones::Network) as text (JSON), for a document of the control state.
#pragma once

#include <string>
#include <string_view>

#include "broker/base/error.hpp"
#include "fuse/zones/network.hpp"

namespace berth::control {

std::string encode_network(const fuse::zones::Network& network);
// Puts latencies and faults back into `network`; those of zones that it has not got are left out.
Result<> restore_network(fuse::zones::Network& network, std::string_view text);

}  // namespace berth::control

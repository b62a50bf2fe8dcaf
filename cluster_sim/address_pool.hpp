// The addresses of a subnet: which one comes next, which may be asked for. AWS keeps the first four and the last.
#pragma once

#include <cstdint>

#include "broker/base/error.hpp"
#include "cluster_sim/network.hpp"

namespace berth::cluster_sim {

// Takes `wanted`, or the lowest free address where it is 0, and marks it as used. Code::resource_exhausted where there is
// none, Code::already_exists where `wanted` is another's, Code::invalid_argument where it is reserved or outside.
Result<std::uint32_t> take_address(Subnet& subnet, std::uint32_t wanted);

}  // namespace berth::cluster_sim

// What `berth upgrade` asks of a program before it may take this one's place.
#pragma once

#include <string>

#include "broker/base/error.hpp"

namespace berth::daemon {

// Two programs with the same can take each other's place: their keepers and shares find their way in the same memory.
std::string handover_version();

// Starts `binary` to ask for its version. Fails where it does not start, is no berthd or has another one.
Result<> check_successor(const std::string& binary);

}  // namespace berth::daemon

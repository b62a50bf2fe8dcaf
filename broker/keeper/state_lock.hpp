// One daemon per state directory: a flock on a file that holds the pid of the one who has it.
#pragma once

#include <string>

#include "broker/base/error.hpp"
#include "broker/base/unique_fd.hpp"

namespace berth::keeper {

// The lock is held until every copy of the descriptor is closed. Code::failed_precondition, with the other's pid, where it is
// taken. (Not a POSIX lock: those belong to the descriptor table, and keeper and daemon share one.)
Result<UniqueFd> take_state_lock(const std::string& path);

}  // namespace berth::keeper

// The daemon: the one place that builds all parts, in order, and takes them down in reverse.
#pragma once

#include <string>

#include "broker/base/child_exits.hpp"
#include "broker/base/survival.hpp"
#include "broker/daemon/config.hpp"
#include "broker/store/state_directory.hpp"

namespace berth::daemon {

// Serves until it is told to stop (SIGTERM, SIGINT, POST /stop); the exit code. The descriptors that `config` names stay the
// caller's. Runs in the keeper's child, each time from the start.
int run_daemon(const Config& config, const store::StateDirectory& directory, Survival& survival, ChildExits& exits);

// Writes one line to the descriptor that `berth up` waits on, and closes it; nothing where there is none.
void announce(int ready_fd, const std::string& line);

}  // namespace berth::daemon

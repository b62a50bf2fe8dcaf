// The keeper: berthd's parent process. It makes the daemon on a shared descriptor table (CLONE_FILES), so what must outlive a
// crash of the daemon does; it is the reaper of all containers and reports how they ended; it starts a daemon that died again.
//
// It reads nothing that comes from outside, touches no mount, and has one thread.
#pragma once

#include <functional>
#include <string>

#include "broker/base/child_exits.hpp"
#include "broker/base/error.hpp"
#include "broker/base/survival.hpp"
#include "broker/keeper/restart_policy.hpp"

namespace berth::keeper {

struct KeeperOptions {
  std::string lock_path;  // StateDirectory::lock()
  // A mount namespace of our own, in which the host's later mounts show up but none of ours on the host. Needs CAP_SYS_ADMIN.
  bool private_mounts = true;
  RestartPolicy::Limits restarts;
};

// Runs in a process of its own, each time from the start, with what earlier daemons kept. What it returns is the end, for the
// keeper too; death by a signal is not.
using DaemonMain = std::function<int(Survival& survival, ChildExits& exits)>;

// Returns the exit code of the daemon; 128 + signal when it died of a signal that the keeper had passed on, or too often. Fails
// where the keeper can't begin: the state directory is taken, no rights. SIGTERM, SIGINT and SIGHUP are passed on to the daemon;
// a daemon whose keeper dies gets SIGTERM. Descriptors that are open when it is called stay open for all daemons until one closes
// them; of later ones those that Survival keeps. To be called from a process with one thread.
Result<int> run(const KeeperOptions& options, const DaemonMain& daemon_main);

}  // namespace berth::keeper

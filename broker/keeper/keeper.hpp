// The keeper: berthd's parent process. It makes the daemon on a shared descriptor table (CLONE_FILES), so what must outlive a
// crash of the daemon does; it is the reaper of all containers and reports how they ended; it starts a daemon that died again.
//
// It reads nothing that comes from outside, touches no mount, and has one thread.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

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
  // The program's own arguments, for a program that takes its place (Survival::replace_with); that gets `--handover TABLE:BINARY`
  // too, which are `handover` here: the keeper's table, and the program to go back to. Empty: none can.
  std::vector<std::string> arguments;
  int handover = -1;
  int handover_back = -1;
  // Other descriptors that it is to find at the same numbers.
  std::vector<int> handed_over;
  std::chrono::milliseconds replacement_patience{60'000};  // for a program to serve, before the old one comes back
};

// Two programs with the same can take each other's place, as far as the keeper goes.
std::string handover_version();

// Runs in a process of its own, each time from the start, with what earlier daemons kept. What it returns is the end, for the
// keeper too; death by a signal is not.
using DaemonMain = std::function<int(Survival& survival, ChildExits& exits)>;

// Returns the exit code of the daemon; 128 + signal when it died of a signal that the keeper had passed on, or too often. Fails
// where the keeper can't begin: the state directory is taken, no rights. SIGTERM, SIGINT and SIGHUP are passed on to the daemon;
// a daemon whose keeper dies gets SIGTERM. Descriptors that are open when it is called stay open for all daemons until one closes
// them; of later ones those that Survival keeps. To be called from a process with one thread.
Result<int> run(const KeeperOptions& options, const DaemonMain& daemon_main);

}  // namespace berth::keeper

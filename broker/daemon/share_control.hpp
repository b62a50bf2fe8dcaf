// ShareControl: what the administrator says of the zones, and what EFS says of throughput, kept in the control state and told
// to the share.
//
// A file system is held to its throughput where somebody asked for it: ThroughputMode `provisioned`, the tag
// `berth:throughput` = `enforced`, or the daemon's option for all. The tag with `free` lifts it. Thread-safe.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "broker/control/control_plane.hpp"
#include "fuse/share.hpp"

namespace berth::daemon {

// The allowance that the mounts of the file system are held to; nullopt: as fast as the machine.
std::optional<fuse::zones::Allowance> allowance_of(const fuse::FileSystemRecord& record, bool enforce_all);

class ShareControl {
 public:
  ShareControl(control::ControlPlane& plane, fuse::Share& share, bool enforce_all)
      : plane_(plane), share_(share), enforce_all_(enforce_all) {}

  // Before Share::recover(): what was lost stays lost.
  void begin();

  // What was asked, in the words of `berth zone`: action isolate, lose, restore or latency with its parameters. A line to print.
  Result<std::string> change(const std::string& action, const std::map<std::string, std::string>& parameters);
  fuse::zones::Network network() const;

  // Tells the share what the catalog says now.
  void apply_throughput();
  // Notes the credits, so that a daemon that starts again goes on from them.
  void save_credits();

 private:
  Result<std::string> apply(fuse::zones::Network& network, const std::string& action,
                            const std::map<std::string, std::string>& parameters) const;

  control::ControlPlane& plane_;
  fuse::Share& share_;
  const bool enforce_all_;
  mutable std::mutex mutex_;  // one change at a time, told in order
  fuse::zones::Network network_;
};

}  // namespace berth::daemon

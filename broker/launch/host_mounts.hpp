// HostMounts: mounts of file systems that a person has on the host, decided as a task's are, and the administrator's looks
// inside, which stand nowhere.
//
// The mount is made here and taken from here by its descriptor (pidfd_getfd(2)): who asked places it in a mount namespace of
// theirs. It lives until it is unmounted there; the daemon's death doesn't end it, Berth's does. Thread-safe.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "broker/base/error.hpp"
#include "broker/base/unique_fd.hpp"
#include "broker/control/control_plane.hpp"
#include "fuse/share.hpp"

namespace berth::launch {

class HostMounts {
 public:
  HostMounts(control::ControlPlane& plane, fuse::Share& share, std::string file_systems)
      : plane_(plane), share_(share), file_systems_(std::move(file_systems)) {}

  struct Request {
    std::string file_system;   // fs-...
    std::string root = "/";    // inside it
    std::string access_point;  // fsap-..., or empty
    std::string role;          // name or ARN; empty: without IAM authorization
    std::string zone;          // empty: the first with a mount target
    std::string directory;     // where it is to stand, as the asker names it
    bool read_only = false;
    bool io_uring = false;  // as MountSpec::io_uring
  };
  struct Mount {
    std::string id;  // "host/..."
    std::string file_system, root, access_point, role_arn, zone, directory;
    bool read_only = false;
    bool io_uring = false;
    fuse::Rights rights;
  };
  // A mount that waits to be taken.
  struct Offer {
    Mount mount;
    int descriptor = -1;  // in this process, until taken() or expire()
  };
  // Fails with the reason alone, not with ECS's text.
  Result<Offer> offer(const Request& request);
  // All of it, with every right: the administrator's way to look inside. Nothing of it is written down.
  Result<Offer> offer_look(const std::string& file_system);
  void taken(const std::string& id);
  // Gives up what nobody took for a while.
  void expire();

  Result<> end(const std::string& id);
  // Those that live.
  std::vector<Mount> list();
  // Holds their rights against the policies of now.
  void refresh_rights();

 private:
  struct Waiting {
    UniqueFd descriptor;
    std::chrono::steady_clock::time_point since;
  };
  Result<Offer> make(const fuse::MountSpec& spec, Mount mount);
  Result<fuse::MountSpec> decide(Mount& mount) const;
  Result<> write(const Mount& mount);
  bool waits(const std::string& id);

  control::ControlPlane& plane_;
  fuse::Share& share_;
  const std::string file_systems_;
  std::mutex refreshing_;  // held from a decision on rights until they act: the newest decision must act last
  std::mutex mutex_;       // of waiting_; innermost
  std::map<std::string, Waiting> waiting_;
};

}  // namespace berth::launch

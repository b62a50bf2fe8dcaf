// Share: serves every mount of every file system: one FUSE session per (task, volume), all on one reactor and a few workers.
//
// Thread-safe. Never touches a path inside a mount of its own: it could not be killed any more.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/base/clock.hpp"
#include "broker/base/error.hpp"
#include "broker/base/id.hpp"
#include "broker/base/survival.hpp"
#include "broker/base/unique_fd.hpp"
#include "fuse/zones/gates.hpp"
#include "fuse/zones/network.hpp"
#include "fuse/zones/throughput.hpp"
#include "fuse/zones/usage.hpp"

namespace berth::fuse {

// Names one mount over its whole life, restarts included: "<task id>/<volume name>" or "host/<n>". At most 63 bytes.
using MountId = Id<struct MountIdTag>;

// What a mount may do; decided from policies when it is made and changed on the live mount when they change.
struct Rights {
  bool mount = true;         // elasticfilesystem:ClientMount; without it everything is EACCES until it is back
  bool write = false;        // elasticfilesystem:ClientWrite; without it every change is EROFS
  bool root_access = false;  // elasticfilesystem:ClientRootAccess; without it uid 0 is squashed to nobody (65534)
  bool operator==(const Rights&) const = default;
};

// An access point's enforced identity: replaces uid, gid and groups of every request.
struct PosixUser {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> secondary_gids;
};

// How to make a root directory that is not there yet (EFS CreationInfo).
struct CreationInfo {
  uid_t owner_uid = 0;
  gid_t owner_gid = 0;
  mode_t permissions = 0755;
};

struct MountSpec {
  MountId id;
  std::string backing_directory;         // of the file system, absolute; on ext4, xfs, btrfs, tmpfs, ...
  std::string root = "/";                // inside the file system; can't be left by anything the mount does
  std::optional<CreationInfo> creation;  // make `root` where it is missing; without it a missing root is Code::not_found
  std::optional<PosixUser> identity;
  Rights rights;
  std::string file_system;  // whose throughput it shares and whose use it counts as; empty: none's. At most 31 bytes
  zones::Ends ends;         // from which zone to which; empty: nothing lies between. Names of at most 31 bytes
  bool metered = false;     // every byte goes through the daemon and is counted: no passthrough
  // The share keeps a descriptor of the mount, which stays nowhere: places are made from held() and come and go, the mount lives
  // until detach(). Else it lives as long as its places.
  bool held = false;
  // Lets the kernel read and write open files by itself, where it can. Without `held` such files keep the rights that they were
  // opened with until they are closed.
  bool passthrough = true;
  // Requests come over io_uring (Ring): faster, but the mount does not outlive its daemon: after a crash or an upgrade everything
  // in it is ENOTCONN. Code::unavailable with what to do where the kernel does not offer it.
  bool io_uring = false;
};

// The moments in serving a request at which the daemon's death leaves different things behind.
enum class Moment : std::uint32_t {
  received,   // read, nothing done
  begun,      // its intent is noted
  executed,   // the backing call has been made, which is not noted yet
  recorded,   // and now it is
  counted,    // the kernel's new references are
  answering,  // just before the reply
  answered,   // just after it
};
// For tests: called at each moment with the kernel's number of the operation. May not return; an errno at `begun` takes the
// backing call's place, 0 lets all be.
using FaultHook = int (*)(Moment moment, std::uint32_t opcode);

class Share {
 public:
  struct Options {
    unsigned workers = 4;
    // How long a worker looks for the next request before it sleeps, at most; 0: not at all. Spares the waking, which costs
    // more than the request; costs this much processor time where requests come just so often. And while requests come so, a
    // virtual machine's idle processors are kept from halting (Vigil).
    std::chrono::microseconds linger{100};
    bool passthrough = true;  // where kernel and libfuse have it
    // How long a kernel may trust what it knows; bounds how late a change made in the backing directory past the share is seen
    // where such changes are not reported: on file systems of other machines, and on kernels before 5.17. Where they are, they
    // are seen after some 20 ms. Changes through the share are seen at once whatever these are.
    std::chrono::duration<double> cache_timeout{1.0};
    std::chrono::duration<double> watched_cache_timeout{3600.0};
    bool watch = true;  // have them reported
    // By which requests wait and throughput is counted; null: the machine's. Must outlive the share, from any thread.
    const Clock* clock = nullptr;
    // False: as on kernels that can't send requests again (before 6.9), which are then taken from the memory of the dead daemon.
    bool resend = true;
    // True: as on NFS, wherever it is (BackingKind::renames_held_files).
    bool hold_no_files = false;
    FaultHook fault = nullptr;
  };
  // Fails with Code::unavailable and what to do where /dev/fuse is missing.
  static Result<std::unique_ptr<Share>> start(const Options& options, Survival& survival);
  virtual ~Share() = default;

  // Makes the mount detached (fsopen, fsconfig, fsmount) and serves it. The descriptor is fsmount's: place it with
  // move_mount(2), then close it. Code::unavailable where a zone is cut off. The mount lives until the last of its places is gone
  // or detach() is called.
  virtual Result<UniqueFd> mount(const MountSpec& spec) = 0;

  // Of a held mount: the descriptor, the share's own; -1 where there is none. Bind from /proc/<pid>/fd/<it>, or clone it with
  // open_tree(2); never look into it from this process.
  virtual int held(const MountId& id) const = 0;

  // After a restart: serves again what the dead daemon served, found in Survival. The ids that live on; mounts whose kernel
  // side is gone are cleaned up. Call once, before any mount().
  virtual Result<std::vector<MountId>> recover() = 0;

  // Ends the mount at once: what is in flight answers ECONNABORTED, what comes later ENOTCONN. Accepts ids that it never saw.
  virtual void detach(const MountId& id) = 0;

  // Acts on the live mount from the next operation on. Files open in passthrough with a right that is lost answer EIO until
  // they are opened anew. Waits for the mount's workers.
  virtual Result<> set_rights(const MountId& id, Rights rights) = 0;

  // What lies between the zones from now on. Before recover(), so that a lost zone stays lost over a restart. Files that
  // are open in passthrough keep going until they are closed.
  virtual void set_network(zones::Network network) = 0;
  // Holds the mounts of a file system together to an allowance; nullopt: no more. `credits` count where it had none before.
  virtual void set_throughput(const std::string& file_system, std::optional<zones::Allowance> allowance,
                              double credits = zones::kFirstCredits) = 0;
  virtual std::vector<zones::Gates::Throughput> throughput() const = 0;

  struct FileSystemUse {
    std::string file_system;
    zones::Usage usage;  // since the daemon started, of all its mounts
    std::size_t mounts = 0;
    std::size_t passthrough_mounts = 0;  // whose reads and writes are not in `usage`
  };
  // By file system. `take_sizes`: the smallest and largest transfers begin anew.
  virtual std::vector<FileSystemUse> use(bool take_sizes) = 0;

  struct MountStats {
    MountId id;
    std::uint64_t operations = 0;
    std::uint64_t known_inodes = 0;
    bool passthrough = false;
    bool io_uring = false;
    std::string file_system;
    zones::Ends ends;
    zones::Gates::ClientState way;  // to its file system
  };
  virtual std::vector<MountStats> stats() const = 0;
};

}  // namespace berth::fuse

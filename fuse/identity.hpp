// Identity: as whom a request touches the backing file system, and the switch of the worker's thread to it.
//
// The backing file system checks permissions itself, against the switched thread: nothing here re-implements mode bits.
// Groups are read from /proc only where they can matter: reading them costs more than the operation.
#pragma once

#include <sys/types.h>

#include <optional>
#include <utility>
#include <vector>

#include "fuse/answer.hpp"
#include "fuse/share.hpp"

namespace berth::fuse {

inline constexpr uid_t kNobody = 65534;

// Who asks, as the kernel says: ids of the calling thread, before any squashing.
struct Caller {
  uid_t uid = 0;
  gid_t gid = 0;
  pid_t pid = 0;
};

struct Identity {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
  bool groups_known = false;  // else the caller may have more
};

// The identity of `caller` on a mount with this enforced user and these rights. Pure.
Identity effective_identity(const Caller& caller, const std::optional<PosixUser>& enforced, Rights rights);

// Supplementary groups of a live thread; empty where it is gone.
std::vector<gid_t> groups_of(pid_t pid);

// Switches the calling thread's file system identity until it dies. Linux keeps these ids per thread; root's file system
// capabilities leave with fsuid 0 and come back with it. Check ok(): a switch that failed must refuse the operation.
class ScopedIdentity {
 public:
  explicit ScopedIdentity(const Identity& identity);
  ScopedIdentity(const ScopedIdentity&) = delete;
  ScopedIdentity& operator=(const ScopedIdentity&) = delete;
  ~ScopedIdentity();
  bool ok() const { return ok_; }

 private:
  bool ok_ = true;
  bool switched_ = false;
  bool groups_set_ = false;
};

// Whether a signal that it does not hold back waits for this thread (proc_pid_status(5)). False where it is gone.
bool has_signal(pid_t thread);

// A thread that serves requests: own umask (0, the kernel has applied the caller's) and no supplementary groups.
void prepare_worker_thread();

// Runs `operation` as `identity`; once more with the caller's supplementary groups where it was denied without them.
template <class Operation>
auto run_as(Identity identity, pid_t pid, Operation&& operation) -> decltype(operation()) {
  {
    const ScopedIdentity scope(identity);
    if (!scope.ok()) return refuse(EPERM);
    auto result = operation();
    if (result || identity.groups_known) return result;
    if (result.error() != Errno{EACCES} && result.error() != Errno{EPERM}) return result;
  }
  identity.groups = groups_of(pid);
  const ScopedIdentity scope(identity);
  if (!scope.ok()) return refuse(EPERM);
  return operation();
}

}  // namespace berth::fuse

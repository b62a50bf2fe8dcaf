// HostPlaces: puts mounts of the share into the mount namespace that Berth was started in, and takes them away again.
//
// The keeper's own mount namespace shows nothing to the host (mount_namespaces(7)); what another container engine is to bind must
// stand where that engine looks. A thread of its own enters the host's namespace for each step: setns(2) moves a thread alone
// once it shares its root and working directory with no other (CLONE_FS). Thread-safe.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "broker/base/error.hpp"

namespace berth::runtime {

// Descriptors of where Berth was started, taken before the keeper made its own mount namespace; whoever opened them keeps them.
struct HostNamespace {
  int mounts = -1;  // /proc/self/ns/mnt
  int root = -1;    // O_PATH of the root directory: another than the namespace's own in a chroot
};

class HostPlaces {
 public:
  virtual ~HostPlaces() = default;

  // A place of `mount` (Share::held) at `directory`, which is made where it is missing; nothing where one of `source` is there
  // already. Kernels before 6.15 can't clone a mount that stands nowhere: there the mount itself moves, once.
  virtual Result<> put(int mount, const std::string& source, const std::string& directory, bool read_only) = 0;
  // Unmounts whatever stands there, in use or not, and removes the directory. Accepts what isn't there.
  virtual void take_away(const std::string& directory) = 0;
  // Whether any process sees the mount elsewhere: a container of an engine's that was handed `directory`. Looks at every process.
  virtual bool used(const std::string& source, const std::string& directory) = 0;
  // The places of Berth's mounts below `directory`.
  virtual std::vector<std::string> below(const std::string& directory) = 0;
};

class LinuxHostPlaces final : public HostPlaces {
 public:
  explicit LinuxHostPlaces(HostNamespace host) : host_(host) {}
  Result<> put(int mount, const std::string& source, const std::string& directory, bool read_only) override;
  void take_away(const std::string& directory) override;
  bool used(const std::string& source, const std::string& directory) override;
  std::vector<std::string> below(const std::string& directory) override;

 private:
  Result<> there(const std::function<Result<>()>& step) const;

  const HostNamespace host_;
};

}  // namespace berth::runtime

// Coherence: which mounts' kernels know which inode, so that only what one mount alone knows is cached in its kernel.
//
// An inode that a second mount gets to know is revoked in the first: its attributes, and for a directory every cached name
// (the connection's epoch rises). From then on both ask each time. So no mount sees another's change late, no change has to
// be announced, and no request waits for another mount's locks. The kernel drops answers that were on their way when the
// revocation came: they carry the older version or epoch.
// Changes made in the backing directory past the share are seen after the cache timeout (Share's, 1 s).
// Thread-safe; locked inside a mount's inode table.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "fuse/descriptor_cache.hpp"
#include "fuse/layout.hpp"

namespace berth::fuse {

struct InodeKey {
  std::uint64_t device = 0;
  std::uint64_t number = 0;
  bool operator==(const InodeKey&) const = default;
};

struct InodeKeyHash {
  std::size_t operator()(const InodeKey& key) const noexcept {
    return static_cast<std::size_t>((key.number * 0x9e3779b97f4a7c15U) ^ (key.device << 7U));
  }
};

class Coherence {
 public:
  // Called under the lock: must not call back.
  using Revoke = std::function<void(Ino ino, bool directory)>;

  void join(MountNumber mount, Revoke revoke);
  void leave(MountNumber mount);

  // Call before replying what makes the mount's kernel know `ino`.
  void know(const InodeKey& key, MountNumber mount, Ino ino, bool directory);
  void unknow(const InodeKey& key, MountNumber mount, Ino ino);
  bool known_alone(const InodeKey& key, MountNumber mount) const;

 private:
  struct Knower {
    MountNumber mount;
    Ino ino;
    bool operator==(const Knower&) const = default;
  };

  mutable std::mutex mutex_;
  std::unordered_map<InodeKey, std::vector<Knower>, InodeKeyHash> knowers_;
  std::unordered_map<MountNumber, Revoke> revokers_;
};

}  // namespace berth::fuse

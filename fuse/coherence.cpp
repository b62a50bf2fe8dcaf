#include "fuse/coherence.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace berth::fuse {

void Coherence::join(MountNumber mount, Revoke revoke) {
  const std::scoped_lock lock(mutex_);
  revokers_[mount] = std::move(revoke);
}

void Coherence::leave(MountNumber mount) {
  const std::scoped_lock lock(mutex_);
  revokers_.erase(mount);
  for (auto at = knowers_.begin(); at != knowers_.end();) {
    std::erase_if(at->second, [mount](const Knower& knower) { return knower.mount == mount; });
    at = at->second.empty() ? knowers_.erase(at) : std::next(at);
  }
}

void Coherence::know(const InodeKey& key, MountNumber mount, Ino ino, bool directory) {
  const std::scoped_lock lock(mutex_);
  auto& knowers = knowers_[key];
  for (const Knower& knower : knowers) {
    if (knower.mount == mount) continue;
    if (const auto revoke = revokers_.find(knower.mount); revoke != revokers_.end()) revoke->second(knower.ino, directory);
  }
  knowers.push_back({mount, ino});
}

void Coherence::unknow(const InodeKey& key, MountNumber mount, Ino ino) {
  const std::scoped_lock lock(mutex_);
  const auto found = knowers_.find(key);
  if (found == knowers_.end()) return;
  std::erase(found->second, Knower{mount, ino});
  if (found->second.empty()) knowers_.erase(found);
}

bool Coherence::known_alone(const InodeKey& key, MountNumber mount) const {
  const std::scoped_lock lock(mutex_);
  const auto found = knowers_.find(key);
  return found != knowers_.end() && std::ranges::all_of(found->second, [mount](const Knower& k) { return k.mount == mount; });
}

}  // namespace berth::fuse

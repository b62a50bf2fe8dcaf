#include "fuse/descriptor_cache.hpp"

namespace berth::fuse {

Descriptor DescriptorCache::find(MountNumber mount, Ino ino) {
  const std::scoped_lock lock(mutex_);
  const auto found = index_.find(Key{mount, ino});
  if (found == index_.end()) return nullptr;
  order_.splice(order_.begin(), order_, found->second);
  return found->second->second;
}

void DescriptorCache::put(MountNumber mount, Ino ino, Descriptor descriptor) {
  Descriptor closes_unlocked;  // close(2) of the last reference may do disk work
  const std::scoped_lock lock(mutex_);
  const Key key{mount, ino};
  if (const auto found = index_.find(key); found != index_.end()) {
    closes_unlocked = std::exchange(found->second->second, std::move(descriptor));
    order_.splice(order_.begin(), order_, found->second);
    return;
  }
  order_.emplace_front(key, std::move(descriptor));
  index_.emplace(key, order_.begin());
  if (order_.size() <= capacity_) return;
  closes_unlocked = std::move(order_.back().second);
  index_.erase(order_.back().first);
  order_.pop_back();
}

void DescriptorCache::drop(MountNumber mount, Ino ino) {
  Descriptor closes_unlocked;
  const std::scoped_lock lock(mutex_);
  const auto found = index_.find(Key{mount, ino});
  if (found == index_.end()) return;
  closes_unlocked = std::move(found->second->second);
  order_.erase(found->second);
  index_.erase(found);
}

void DescriptorCache::drop_mount(MountNumber mount) {
  const std::scoped_lock lock(mutex_);
  for (auto at = order_.begin(); at != order_.end();) {
    if (at->first.mount != mount) {
      ++at;
      continue;
    }
    index_.erase(at->first);
    at = order_.erase(at);
  }
}

}  // namespace berth::fuse

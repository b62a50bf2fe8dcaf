#include "fuse/descriptor_cache.hpp"

#include <algorithm>
#include <mutex>

namespace berth::fuse {

DescriptorCache::DescriptorCache(std::size_t capacity)
    : parts_used_(std::clamp<std::size_t>(capacity / kPartOfMany, 1, kPartsMax)), capacity_(capacity / parts_used_) {}

Descriptor DescriptorCache::find(MountNumber mount, Ino ino) {
  const Key key{mount, ino};
  Part& of = part(key);
  const std::scoped_lock lock(of.mutex);
  const auto found = of.index.find(key);
  if (found == of.index.end()) return nullptr;
  if (found->second != of.order.begin()) of.order.splice(of.order.begin(), of.order, found->second);
  return found->second->second;
}

void DescriptorCache::put(MountNumber mount, Ino ino, Descriptor descriptor) {
  Descriptor closes_unlocked;  // close(2) of the last reference may do disk work
  const Key key{mount, ino};
  Part& of = part(key);
  const std::scoped_lock lock(of.mutex);
  if (const auto found = of.index.find(key); found != of.index.end()) {
    closes_unlocked = std::exchange(found->second->second, std::move(descriptor));
    of.order.splice(of.order.begin(), of.order, found->second);
    return;
  }
  of.order.emplace_front(key, std::move(descriptor));
  of.index.emplace(key, of.order.begin());
  if (of.order.size() <= capacity_) return;
  closes_unlocked = std::move(of.order.back().second);
  of.index.erase(of.order.back().first);
  of.order.pop_back();
}

Descriptor DescriptorCache::drop(MountNumber mount, Ino ino) {
  const Key key{mount, ino};
  Part& of = part(key);
  const std::scoped_lock lock(of.mutex);
  const auto found = of.index.find(key);
  if (found == of.index.end()) return nullptr;
  Descriptor dropped = std::move(found->second->second);
  of.order.erase(found->second);
  of.index.erase(found);
  return dropped;
}

void DescriptorCache::drop_mount(MountNumber mount) {
  for (Part& of : parts_) {
    const std::scoped_lock lock(of.mutex);
    for (auto at = of.order.begin(); at != of.order.end();) {
      if (at->first.mount != mount) {
        ++at;
        continue;
      }
      of.index.erase(at->first);
      at = of.order.erase(at);
    }
  }
}

}  // namespace berth::fuse

#include "fuse/descriptor_cache.hpp"

#include <algorithm>
#include <mutex>

namespace berth::fuse {

DescriptorCache::DescriptorCache(std::size_t capacity, int scarce_from)
    : parts_used_(std::clamp<std::size_t>(capacity / kPartOfMany, 1, kPartsMax)),
      capacity_(capacity / parts_used_),
      scarce_from_(scarce_from) {}

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
  opened(descriptor->get());
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

// Several for the one that was opened: what is opened next is given their numbers, which don't show that descriptors are scarce.
void DescriptorCache::shrink() {
  std::array<Descriptor, 16> close_unlocked;
  auto at = close_unlocked.begin();
  for (std::size_t tried = 0; tried < close_unlocked.size() * parts_used_ && at != close_unlocked.end(); ++tried) {
    Part& of = parts_[next_to_shrink_.fetch_add(1, std::memory_order_relaxed) % parts_used_];
    const std::scoped_lock lock(of.mutex);
    if (of.order.empty()) continue;
    *at++ = std::move(of.order.back().second);
    of.index.erase(of.order.back().first);
    of.order.pop_back();
  }
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

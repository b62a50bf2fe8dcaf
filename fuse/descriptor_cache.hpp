// DescriptorCache: the O_PATH descriptors used last, over all mounts, so that a million known files need no million of them.
//
// Thread-safe. A descriptor taken from it stays open as long as the caller holds it, dropped from the cache or not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "broker/base/unique_fd.hpp"
#include "fuse/inode_key.hpp"
#include "fuse/layout.hpp"

namespace berth::fuse {

using Descriptor = std::shared_ptr<const UniqueFd>;

class DescriptorCache {
 public:
  explicit DescriptorCache(std::size_t capacity) : capacity_(capacity) {}

  Descriptor find(MountNumber mount, Ino ino);
  void put(MountNumber mount, Ino ino, Descriptor descriptor);
  void drop(MountNumber mount, Ino ino);
  void drop_mount(MountNumber mount);

 private:
  struct Key {
    MountNumber mount;
    Ino ino;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const noexcept {
      return static_cast<std::size_t>((key.ino * 0x9e3779b97f4a7c15U) ^ (std::uint64_t{key.mount} << 40U));
    }
  };
  using Order = std::list<std::pair<Key, Descriptor>>;  // the one used last in front

  std::mutex mutex_;  // innermost: nothing is locked under it
  const std::size_t capacity_;
  Order order_;
  std::unordered_map<Key, Order::iterator, KeyHash> index_;
};

}  // namespace berth::fuse

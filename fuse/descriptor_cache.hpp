// DescriptorCache: the O_PATH descriptors used last, over all mounts, so that a million known files need no million of them.
//
// A large one is in parts, each with its own order and lock: every request looks here. Thread-safe. A descriptor taken from it
// stays open as long as the caller holds it, dropped from the cache or not. Where the process has few left, open files come
// first: the cache shrinks for them.
#pragma once

#include <array>
#include <atomic>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <unordered_map>
#include <utility>

#include "broker/base/unique_fd.hpp"
#include "fuse/brief_mutex.hpp"
#include "fuse/inode_key.hpp"
#include "fuse/layout.hpp"

namespace berth::fuse {

using Descriptor = std::shared_ptr<const UniqueFd>;

class DescriptorCache {
 public:
  // Descriptors are scarce once their numbers, of which the lowest free one is always taken, have come to `scarce_from`.
  explicit DescriptorCache(std::size_t capacity, int scarce_from = INT_MAX / 15 * 14);

  Descriptor find(MountNumber mount, Ino ino);
  void put(MountNumber mount, Ino ino, Descriptor descriptor);
  // What was dropped, if any: closing it may do disk work.
  Descriptor drop(MountNumber mount, Ino ino);
  void drop_mount(MountNumber mount);
  // Of whatever was opened: where its number shows that descriptors are scarce, some cached ones are
  // given up, so that the next to be opened has one.
  void opened(int fd) {
    if (scarce(fd)) shrink();
  }
  bool scarce(int fd) const { return fd >= scarce_from_; }
  // So few are left that they are needed for files that are opened.
  bool very_scarce(int fd) const { return fd >= scarce_from_ / 14 * 15; }  // scarce from 7/8 of the limit on, so from 15/16

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

  struct alignas(64) Part {
    BriefMutex mutex;  // innermost: nothing is locked under it
    Order order;
    std::unordered_map<Key, Order::iterator, KeyHash> index;
  };
  static constexpr std::size_t kPartsMax = 16;
  static constexpr std::size_t kPartOfMany = 64;  // descriptors: parts of fewer would drop what was used a moment ago

  void shrink();

  Part& part(const Key& key) { return parts_[(KeyHash{}(key) >> 32U) % parts_used_]; }

  const std::size_t parts_used_;
  const std::size_t capacity_;  // of each
  const int scarce_from_;
  std::atomic<std::size_t> next_to_shrink_ = 0;
  std::array<Part, kPartsMax> parts_;
};

}  // namespace berth::fuse

// InodeKey: an inode of a backing file system, whichever mount knows it; MountNumber: a mount of this daemon.
#pragma once

#include <cstddef>
#include <cstdint>

namespace berth::fuse {

using MountNumber = std::uint32_t;
inline constexpr MountNumber kNoMount = 0;

struct InodeKey {
  std::uint64_t device = 0;
  std::uint64_t number = 0;
  bool operator==(const InodeKey&) const = default;
};

struct InodeKeyHash {
  std::size_t operator()(const InodeKey& key) const noexcept {
    std::uint64_t mixed = (key.number ^ (key.device << 40U)) * 0x9e3779b97f4a7c15U;
    mixed ^= mixed >> 32U;
    return static_cast<std::size_t>(mixed);
  }
};

}  // namespace berth::fuse

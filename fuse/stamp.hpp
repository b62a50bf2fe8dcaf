// Stamp: a few bytes that tell whether an inode's attributes are still those that were seen; 0 is none's.
#pragma once

#include <sys/stat.h>

#include <cstdint>

namespace berth::fuse {

using Stamp = std::uint64_t;

// Of what a change of content, names, owner or mode changes. The access time is left out.
inline Stamp stamp_of(const struct stat& attributes) {
  std::uint64_t mixed = 0;
  const auto mix = [&](std::uint64_t value) {
    mixed = (mixed ^ value) * 0x9e3779b97f4a7c15U;
    mixed ^= mixed >> 29U;
  };
  mix(static_cast<std::uint64_t>(attributes.st_size));
  mix(attributes.st_nlink);
  mix(static_cast<std::uint64_t>(attributes.st_mtim.tv_sec));
  mix(static_cast<std::uint64_t>(attributes.st_mtim.tv_nsec));
  mix(static_cast<std::uint64_t>(attributes.st_ctim.tv_sec));
  mix(static_cast<std::uint64_t>(attributes.st_ctim.tv_nsec));
  return mixed == 0 ? 1 : mixed;
}

}  // namespace berth::fuse

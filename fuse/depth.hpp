// How deep directories may lie: EFS's limit on levels, without a walk for those that lie nowhere near it.
#pragma once

#include "fuse/answer.hpp"

namespace berth::fuse {

inline constexpr unsigned kLevelsMax = 1000;

// not_deep: nowhere near the limit, whatever it is called; so it stays until it or one above it is moved.
enum class Depth { not_deep, allowed };

// ENAMETOOLONG where `directory` lies `kLevelsMax` levels or more below `root`: nothing may be made a directory in it.
// Both by any descriptor; `descriptors` is /proc/self/fd.
Answer<Depth> check_depth(int descriptors, int directory, int root);

}  // namespace berth::fuse

// The process's open descriptors as a whole.
#pragma once

#include <sys/types.h>

#include <vector>

namespace berth::keeper {

// Sorted. Without the one that it was read through.
std::vector<int> open_descriptors();

// A descriptor with what it stood for: when it has been closed, the number may be another's.
struct KnownDescriptor {
  int fd = -1;
  dev_t device = 0;
  ino_t inode = 0;
  bool operator==(const KnownDescriptor&) const = default;
};
KnownDescriptor know(int fd);

// Closes every descriptor that is not in `kept` (sorted) and not 0, 1 or 2.
void close_all_but(const std::vector<int>& kept);

}  // namespace berth::keeper

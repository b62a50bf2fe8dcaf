// The process's open descriptors as a whole.
#pragma once

#include <vector>

namespace berth::keeper {

// Sorted. Without the one that it was read through.
std::vector<int> open_descriptors();

// Closes every descriptor that is not in `kept` (sorted) and not 0, 1 or 2.
void close_all_but(const std::vector<int>& kept);

}  // namespace berth::keeper

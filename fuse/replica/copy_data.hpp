// The bytes of one file: copied with their holes, compared.
#pragma once

#include <sys/types.h>

#include "broker/base/error.hpp"
#include "fuse/replica/tree_sync.hpp"

namespace berth::fuse::replica {

// Copies the first `size` bytes of `source` into the empty file `target`: by the file system itself where it can (reflinks,
// server-side copies). A source that shrinks meanwhile ends where it ends. Stops without an error when it is told to.
Result<> copy_data(int source, int target, off_t size, Progress& progress);

// Whether two files of `size` bytes hold the same. An error counts as a difference.
bool same_data(int a, int b, off_t size, const Progress& progress);

}  // namespace berth::fuse::replica

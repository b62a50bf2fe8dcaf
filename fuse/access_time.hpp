// When reading a file changes its access time.
#pragma once

#include <sys/stat.h>

namespace berth::fuse {

// Whether the next read may, by Linux's rule for relatime (mount(8)): where nobody has read the file since it was changed, or
// for a day. A backing directory that is mounted strictatime changes it each time; other mounts then see it late by their
// cache's time.
bool reading_changes(const struct stat& attributes);

}  // namespace berth::fuse

// FileHandle: an inode's name that outlives every descriptor (open_by_handle_at(2)).
#pragma once

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "broker/base/unique_fd.hpp"

namespace berth::fuse {

struct FileHandle {
  static constexpr std::size_t kBytesMax = 40;

  int type = 0;
  std::uint32_t size = 0;  // of `bytes`, in use
  std::array<std::byte, kBytesMax> bytes{};

  bool operator==(const FileHandle& other) const {
    return type == other.type && size == other.size && std::equal(bytes.begin(), bytes.begin() + size, other.bytes.begin());
  }
  // Whether it is told by its bytes that it is this inode's: most file systems put the number in.
  bool tells(std::uint64_t number) const;
};

// The handle of what `fd` (O_PATH will do) stands for; false where its file system has none.
bool describe(int fd, FileHandle& handle);
// And of what `name` stands for below `directory`, be it a link.
bool describe(int directory, const char* name, FileHandle& handle);

// `mount_point`: a descriptor, not O_PATH, of anything on that file system. Without a descriptor errno says why.
UniqueFd open_by_handle(int mount_point, const FileHandle& handle, int flags);

}  // namespace berth::fuse

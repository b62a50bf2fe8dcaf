#include "fuse/file_handle.hpp"

#include <cstring>

namespace berth::fuse {
namespace {

// As the kernel lays it out: struct file_handle with room for the bytes.
struct KernelHandle {
  unsigned int size;
  int type;
  std::array<std::byte, FileHandle::kBytesMax> bytes;
};

struct file_handle* as_kernel(KernelHandle& handle) { return reinterpret_cast<struct file_handle*>(&handle); }

bool describe_at(int directory, const char* name, int flags, FileHandle& handle) {
  KernelHandle kernel{sizeof(kernel.bytes), 0, {}};
  int ignored = 0;
  if (name_to_handle_at(directory, name, as_kernel(kernel), &ignored, flags) != 0) return false;
  handle = {kernel.type, kernel.size, kernel.bytes};
  return true;
}

}  // namespace

bool FileHandle::tells(std::uint64_t number) const {
  const auto word = static_cast<std::uint32_t>(number);  // where it has more, the next one goes without saying
  for (std::size_t at = 0; at + sizeof(word) <= size; at += sizeof(word)) {
    if (std::memcmp(bytes.data() + at, &word, sizeof(word)) == 0) return true;
  }
  return false;
}

bool describe(int fd, FileHandle& handle) { return describe_at(fd, "", AT_EMPTY_PATH, handle); }

bool describe(int directory, const char* name, FileHandle& handle) { return describe_at(directory, name, 0, handle); }

UniqueFd open_by_handle(int mount_point, const FileHandle& handle, int flags) {
  KernelHandle kernel{handle.size, handle.type, handle.bytes};
  return UniqueFd(open_by_handle_at(mount_point, as_kernel(kernel), flags));
}

}  // namespace berth::fuse

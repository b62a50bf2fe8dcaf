#include "fuse/file_handle.hpp"

namespace berth::fuse {
namespace {

// As the kernel lays it out: struct file_handle with room for the bytes.
struct KernelHandle {
  unsigned int size;
  int type;
  std::array<std::byte, FileHandle::kBytesMax> bytes;
};

struct file_handle* as_kernel(KernelHandle& handle) { return reinterpret_cast<struct file_handle*>(&handle); }

}  // namespace

bool describe(int fd, FileHandle& handle) {
  KernelHandle kernel{sizeof(kernel.bytes), 0, {}};
  int ignored = 0;
  if (name_to_handle_at(fd, "", as_kernel(kernel), &ignored, AT_EMPTY_PATH) != 0) return false;
  handle = {kernel.type, kernel.size, kernel.bytes};
  return true;
}

UniqueFd open_by_handle(int mount_point, const FileHandle& handle, int flags) {
  KernelHandle kernel{handle.size, handle.type, handle.bytes};
  return UniqueFd(open_by_handle_at(mount_point, as_kernel(kernel), flags));
}

}  // namespace berth::fuse

#include "fuse/resident.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace berth::fuse {

void make_resident(std::span<std::byte> buffer) {
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(buffer.data()) / page * page;
  const std::size_t size = reinterpret_cast<std::uintptr_t>(buffer.data()) + buffer.size() - begin;
  madvise(reinterpret_cast<void*>(begin), size, MADV_POPULATE_WRITE);
  mlock(reinterpret_cast<void*>(begin), size);
}

}  // namespace berth::fuse

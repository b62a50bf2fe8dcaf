#include "broker/keeper/region_pools.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "broker/base/unique_fd.hpp"

namespace berth::keeper {

Result<int> make_memory_file(const char* name, std::size_t size) {
  UniqueFd fd{::memfd_create(name, MFD_CLOEXEC)};
  if (!fd) return fail_errno(errno, fmt::format("make memory region `{}`", name));
  if (::ftruncate(fd.get(), static_cast<off_t>(size)) != 0)
    return fail_errno(errno, fmt::format("size memory region `{}`", name));
  return fd.release();
}

RegionPools::~RegionPools() {
  for (const auto& [fd, pool] : pools_) {
    if (!pool.memory.empty()) ::munmap(pool.memory.data(), pool.memory.size());
  }
}

Result<RegionPools::Block> RegionPools::take(std::size_t size) {
  constexpr std::size_t kAlignment = 64;  // 64 blocks of it are whole pages
  const std::size_t file_size = (size + kAlignment - 1) / kAlignment * kAlignment * kBlocks;
  auto found =
      std::ranges::find_if(pools_, [&](const auto& p) { return p.second.file_size == file_size && ~p.second.taken != 0; });
  if (found == pools_.end()) {
    auto fd = make_memory_file("regions", file_size);
    if (!fd) return fail(fd.error());
    found = pools_.emplace(*fd, Pool{.file_size = file_size}).first;
  }
  Pool& pool = found->second;
  const auto index = static_cast<std::size_t>(std::countr_one(pool.taken));
  const std::size_t offset = index * pool.block();
  if (auto mapped = map(found->first, pool); !mapped) return fail(mapped.error());
  pool.taken |= std::uint64_t{1} << index;
  const auto memory = pool.memory.subspan(offset, size);
  std::ranges::fill(memory, std::byte{0});
  return Block{found->first, file_size, offset, memory};
}

void RegionPools::adopt(int fd, std::size_t file_size, std::size_t offset) {
  Pool& pool = pools_.try_emplace(fd, Pool{.file_size = file_size}).first->second;
  pool.taken |= std::uint64_t{1} << (offset / pool.block());
}

Result<std::span<std::byte>> RegionPools::memory(int fd, std::size_t offset, std::size_t size) {
  Pool& pool = pools_.at(fd);
  if (auto mapped = map(fd, pool); !mapped) return fail(mapped.error());
  return pool.memory.subspan(offset, size);
}

Result<> RegionPools::map(int fd, Pool& pool) {
  if (!pool.memory.empty()) return {};
  void* memory = ::mmap(nullptr, pool.file_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return fail_errno(errno, "map memory regions");
  pool.memory = std::span{static_cast<std::byte*>(memory), pool.file_size};
  return {};
}

void RegionPools::give_back(int fd, std::size_t offset) {
  const auto found = pools_.find(fd);
  if (found == pools_.end()) return;
  Pool& pool = found->second;
  pool.taken &= ~(std::uint64_t{1} << (offset / pool.block()));
  if (pool.taken != 0) return;
  if (!pool.memory.empty()) ::munmap(pool.memory.data(), pool.memory.size());
  ::close(fd);
  pools_.erase(found);
}

}  // namespace berth::keeper

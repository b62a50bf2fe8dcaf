// RegionPools: small regions of one size side by side in one memory file. A file of its own would cost a region a descriptor,
// whole pages, and some KiB of the kernel's: too much where each of thousands of mounts has several.
//
// Which blocks are taken is known from the SharedTable's slots alone. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>

#include "broker/base/error.hpp"

namespace berth::keeper {

// A memory file of this name and size, for the descriptor table that keeper and daemon share.
Result<int> make_memory_file(const char* name, std::size_t size);

class RegionPools {
 public:
  // Larger regions have files of their own.
  static constexpr std::size_t kRegionMax = 8192;

  RegionPools() = default;
  RegionPools(const RegionPools&) = delete;
  RegionPools& operator=(const RegionPools&) = delete;
  ~RegionPools();

  struct Block {
    int fd = -1;
    std::size_t file_size = 0;
    std::size_t offset = 0;
    std::span<std::byte> memory;
  };
  // Zeroes. The file is closed with the last of its blocks.
  Result<Block> take(std::size_t size);
  // A block that an earlier daemon took.
  void adopt(int fd, std::size_t file_size, std::size_t offset);
  Result<std::span<std::byte>> memory(int fd, std::size_t offset, std::size_t size);
  void give_back(int fd, std::size_t offset);

 private:
  static constexpr std::size_t kBlocks = 64;

  struct Pool {
    std::size_t file_size = 0;
    std::uint64_t taken = 0;           // a bit a block
    std::span<std::byte> memory = {};  // empty until it is asked for
    std::size_t block() const { return file_size / kBlocks; }
  };
  static Result<> map(int fd, Pool& pool);

  std::map<int, Pool> pools_;  // by descriptor
};

}  // namespace berth::keeper

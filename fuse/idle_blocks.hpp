// IdleBlocks: which parts of a table's memory nobody uses any more, so that they can go back to the machine.
//
// Slots are counted in blocks. Giving memory back and getting it again costs system calls and page faults, so a block counts as
// idle only where many of its slots were used since it was idle last.
#pragma once

#include <cstdint>
#include <vector>

namespace berth::fuse {

class IdleBlocks {
 public:
  static constexpr std::uint32_t kSlots = 1024;  // in a block
  static constexpr std::uint32_t kMany = kSlots / 2;

  struct Block {
    std::uint32_t first = 0;  // slot
    std::uint32_t count = 0;  // 0: none
  };

  void take(std::uint32_t slot) {
    const std::size_t block = slot / kSlots;
    if (block >= counts_.size()) counts_.resize(block + 1);
    ++counts_[block].used;
    if (counts_[block].taken < kMany) ++counts_[block].taken;
  }
  // The slot's block, where that is idle from now on.
  Block give_back(std::uint32_t slot) {
    const std::uint32_t block = slot / kSlots;
    Count& count = counts_[block];
    if (--count.used != 0 || count.taken < kMany) return {};
    count.taken = 0;
    return {block * kSlots, kSlots};
  }
  void clear() { counts_.clear(); }

 private:
  struct Count {
    std::uint16_t used = 0;
    std::uint16_t taken = 0;  // since it was idle, up to kMany
  };
  std::vector<Count> counts_;
};

}  // namespace berth::fuse

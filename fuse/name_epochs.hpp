// NameEpochs: whether a mount's kernel may still serve a name that it was told of some time ago, and when dropping all of its
// names is cheaper than dropping one more of them.
//
// A kernel that is told to drop all of its names at once begins a new epoch. A name belongs to the epoch that the kernel was in
// when it asked for it, which is not later than the one that is counted here when it is answered. Lock-free.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>

namespace berth::fuse {

class NameEpochs {
 public:
  using Epoch = std::uint32_t;
  // Of names that the kernel may be entering at any time, into whatever epoch it has by then.
  static constexpr Epoch kAlways = std::numeric_limits<Epoch>::max();

  // That of a name whose request is being answered.
  Epoch now() const { return begun_.load(std::memory_order_seq_cst); }
  bool may_be_served(Epoch told_in) const { return told_in >= ended_.load(std::memory_order_seq_cst); }

  // Before the kernel is told to drop all names, and after it has done so.
  Epoch begin_next() { return ++begun_; }
  void has_begun(Epoch epoch) {
    told_.store(0, std::memory_order_relaxed);
    dropped_.store(0, std::memory_order_relaxed);
    for (Epoch before = ended_; before < epoch && !ended_.compare_exchange_weak(before, epoch);) {
    }
  }

  // All were dropped, and those of lists that were being taken in are to be dropped again when they have been.
  void again_after_lists() { again_.store(now(), std::memory_order_seq_cst); }
  bool again_since(Epoch epoch) const { return again_.load(std::memory_order_seq_cst) > epoch; }

  // The kernel is told of one name.
  void told() { told_.fetch_add(1, std::memory_order_relaxed); }
  // One is to be dropped. True where all should be: dropping a name holds up whoever changes it for about as long as a few
  // lookups take, and so has come to as much by now as all the lookups that the kernel might have to make again.
  bool dropped_enough() {
    const std::uint32_t dropped = dropped_.fetch_add(1, std::memory_order_relaxed) + 1;
    return dropped >= kDroppedLeast && dropped >= told_.load(std::memory_order_relaxed) / kLookups;
  }

 private:
  static constexpr std::uint32_t kDroppedLeast = 32;
  static constexpr std::uint32_t kLookups = 4;

  std::atomic<Epoch> begun_ = 0;
  std::atomic<Epoch> ended_ = 0;  // all epochs before it
  std::atomic<Epoch> again_ = 0;
  std::atomic<std::uint32_t> told_ = 0;
  std::atomic<std::uint32_t> dropped_ = 0;
};

}  // namespace berth::fuse

// SlotTable<T>: a growing array of records in regions of Survival. Records never move; chunks double in size.
//
// at() is lock-free and takes any index; grow() is for one thread at a time.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <type_traits>
#include <utility>

#include <fmt/format.h>

#include "broker/base/error.hpp"
#include "broker/base/survival.hpp"

namespace berth::fuse {

// Which chunk a slot lies in, and where the chunks begin.
struct SlotChunks {
  static constexpr std::uint32_t kFirst = 16;
  static constexpr std::size_t kMax = 24;
  static constexpr std::uint32_t size(std::size_t chunk) { return kFirst << chunk; }
  static constexpr std::uint32_t start(std::size_t chunk) { return kFirst * ((1U << chunk) - 1); }
  static constexpr std::size_t of(std::uint32_t index) {
    return static_cast<std::size_t>(std::bit_width(index / kFirst + 1) - 1);
  }
};

template <class T>
class SlotTable {
 public:
  static constexpr std::size_t kChunksMax = SlotChunks::kMax;

  SlotTable(Survival& survival, std::string prefix) : survival_(survival), prefix_(std::move(prefix)) {}

  // Maps the chunks that a dead daemon left.
  Result<> adopt(const std::set<std::string>& regions) {
    while (chunk_count_ < kChunksMax && regions.contains(name(chunk_count_))) {
      if (auto grown = grow(); !grown) return grown;
    }
    return {};
  }

  Result<> grow() {
    if (chunk_count_ == kChunksMax) return fail(Code::resource_exhausted, "`{}` is full", prefix_);
    auto bytes = survival_.region(name(chunk_count_), SlotChunks::size(chunk_count_) * sizeof(T));
    if (!bytes) return fail(bytes.error().within("memory of the share"));
    chunks_[chunk_count_].store(reinterpret_cast<T*>(bytes->data()), std::memory_order_release);
    ++chunk_count_;
    size_.store(SlotChunks::start(chunk_count_), std::memory_order_release);
    return {};
  }

  std::uint32_t size() const { return size_.load(std::memory_order_acquire); }

  T* at(std::uint32_t index) const {
    if (index >= size()) return nullptr;
    const std::size_t chunk = SlotChunks::of(index);
    return chunks_[chunk].load(std::memory_order_acquire) + (index - SlotChunks::start(chunk));
  }

  // Zeroes those whole pages that hold none but these slots, and gives their memory back.
  void give_back(std::uint32_t first, std::uint32_t count) {
    const std::uint32_t end = std::min(first + count, size());
    while (first < end) {
      const std::size_t chunk = SlotChunks::of(first);
      const std::uint32_t last = std::min(end, SlotChunks::start(chunk + 1));
      give_back_pages(at(first), at(first) + (last - first));
      first = last;
    }
  }

  void remove() {
    for (std::size_t i = 0; i < chunk_count_; ++i) survival_.remove_region(name(i));
    chunk_count_ = 0;
    size_ = 0;
  }

 private:
  static_assert(std::is_trivially_destructible_v<T>);
  static void give_back_pages(T* begin, T* end) {
    constexpr std::uintptr_t kPage = 4096;
    const auto from = (reinterpret_cast<std::uintptr_t>(begin) + kPage - 1) / kPage * kPage;
    const auto to = reinterpret_cast<std::uintptr_t>(end) / kPage * kPage;
    if (from >= to) return;
    void* const pages = reinterpret_cast<void*>(from);
    // Shared memory of a file, or else the process's own.
    if (madvise(pages, to - from, MADV_REMOVE) != 0) madvise(pages, to - from, MADV_DONTNEED);
  }
  std::string name(std::size_t chunk) const { return fmt::format("{}/{}", prefix_, chunk); }

  Survival& survival_;
  std::string prefix_;
  std::array<std::atomic<T*>, kChunksMax> chunks_{};
  std::size_t chunk_count_ = 0;
  std::atomic<std::uint32_t> size_ = 0;
};

// The same in memory of this process only: what goes with each slot of a SlotTable and is made anew after a restart.
// at() is lock-free for slots that grow_to() has reached; grow_to() is for one thread at a time.
template <class T>
class LocalSlots {
 public:
  void grow_to(std::uint32_t size) {
    for (; SlotChunks::start(count_) < size; ++count_) chunks_[count_] = std::make_unique<T[]>(SlotChunks::size(count_));
  }
  T& at(std::uint32_t index) const {
    const std::size_t chunk = SlotChunks::of(index);
    return chunks_[chunk][index - SlotChunks::start(chunk)];
  }

 private:
  std::array<std::unique_ptr<T[]>, SlotChunks::kMax> chunks_;
  std::size_t count_ = 0;
};

}  // namespace berth::fuse

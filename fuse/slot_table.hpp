// SlotTable<T>: a growing array of records in regions of Survival. Records never move; chunks double in size.
//
// at() is lock-free and takes any index; grow() is for one thread at a time.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <type_traits>
#include <utility>

#include <fmt/format.h>

#include "broker/base/error.hpp"
#include "broker/base/survival.hpp"

namespace berth::fuse {

template <class T>
class SlotTable {
 public:
  static constexpr std::uint32_t kFirstChunk = 64;
  static constexpr std::size_t kChunksMax = 24;

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
    auto bytes = survival_.region(name(chunk_count_), chunk_size(chunk_count_) * sizeof(T));
    if (!bytes) return fail(bytes.error().within("memory of the share"));
    chunks_[chunk_count_].store(reinterpret_cast<T*>(bytes->data()), std::memory_order_release);
    ++chunk_count_;
    size_.store(start(chunk_count_), std::memory_order_release);
    return {};
  }

  std::uint32_t size() const { return size_.load(std::memory_order_acquire); }

  T* at(std::uint32_t index) const {
    if (index >= size()) return nullptr;
    const auto chunk = static_cast<std::size_t>(std::bit_width(index / kFirstChunk + 1) - 1);
    return chunks_[chunk].load(std::memory_order_acquire) + (index - start(chunk));
  }

  void remove() {
    for (std::size_t i = 0; i < chunk_count_; ++i) survival_.remove_region(name(i));
    chunk_count_ = 0;
    size_ = 0;
  }

 private:
  static_assert(std::is_trivially_destructible_v<T>);
  static constexpr std::uint32_t chunk_size(std::size_t chunk) { return kFirstChunk << chunk; }
  static constexpr std::uint32_t start(std::size_t chunk) { return kFirstChunk * ((1U << chunk) - 1); }
  std::string name(std::size_t chunk) const { return fmt::format("{}/{}", prefix_, chunk); }

  Survival& survival_;
  std::string prefix_;
  std::array<std::atomic<T*>, kChunksMax> chunks_{};
  std::size_t chunk_count_ = 0;
  std::atomic<std::uint32_t> size_ = 0;
};

}  // namespace berth::fuse

// Turns: names and files in turn, so that whoever changes one has it alone. Held over a backing call, which may take long: only
// those wait that change the same. Thread-safe; who holds one takes no other.
#pragma once

#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

#include "fuse/inode_key.hpp"

namespace berth::fuse {

class Turns {
 public:
  // What is changed, in 64 bits: two things that differ have one key so rarely that it does not matter, as they would wait only.
  using Key = std::uint64_t;
  static Key of_name(const InodeKey& directory, std::string_view name);
  static Key of_file(const InodeKey& file);

  class Held {
   public:
    Held() = default;
    Held(Held&& other) noexcept : turns_(std::exchange(other.turns_, nullptr)), keys_(other.keys_), count_(other.count_) {}
    Held& operator=(Held&& other) noexcept {
      std::swap(turns_, other.turns_);
      std::swap(keys_, other.keys_);
      std::swap(count_, other.count_);
      return *this;
    }
    ~Held();

   private:
    friend class Turns;
    Turns* turns_ = nullptr;
    std::array<Key, 2> keys_{};
    std::size_t count_ = 0;
  };
  Held take(Key one);
  Held take(Key one, Key other);

 private:
  struct alignas(64) Shard {
    std::mutex mutex;
    std::condition_variable let_go;
    std::vector<Key> held;  // a worker holds two at most
    unsigned waiting = 0;
  };

  Shard& shard(Key key) { return shards_[key % shards_.size()]; }
  void lock(Key key);
  void unlock(Key key);

  std::array<Shard, 64> shards_;
};

}  // namespace berth::fuse

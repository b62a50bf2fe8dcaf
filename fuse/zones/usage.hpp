// Usage: what a mount has asked of its file system, as the daemon saw it. Passthrough reads and writes it does not see.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "fuse/zones/request.hpp"

namespace berth::fuse::zones {

// Reads or writes: how many, how many bytes, and the sizes of the smallest and the largest since sizes were last taken.
struct Transfers {
  std::uint64_t operations = 0;
  std::uint64_t bytes = 0;
  std::uint64_t smallest = 0;
  std::uint64_t largest = 0;
  void add(const Transfers& other);
};

struct Usage {
  Transfers reads, writes;
  std::uint64_t metadata = 0;  // operations
  std::uint64_t local = 0;     // operations that no client of EFS would send
  std::uint64_t changes = 0;   // of writes and metadata: those that may have changed something
  std::uint64_t operations() const { return reads.operations + writes.operations + metadata + local; }
  void add(const Usage& other);
};

// Counts from any thread; one or two relaxed additions a request.
class UsageCounter {
 public:
  void count(const Request& request);
  // `take_sizes`: the smallest and largest begin anew.
  Usage read(bool take_sizes);

 private:
  struct Counter {
    std::atomic<std::uint64_t> operations = 0, bytes = 0, smallest = kNone, largest = 0;
    void count(std::uint64_t size);
    Transfers read(bool take_sizes);
  };
  static constexpr std::uint64_t kNone = ~std::uint64_t{0};

  Counter reads_, writes_;
  std::atomic<std::uint64_t> metadata_ = 0, local_ = 0, changes_ = 0;
};

}  // namespace berth::fuse::zones

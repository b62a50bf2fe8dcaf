// SharedTable: the memory that the keeper and every daemon in turn see at once: which descriptors are to live, the named
// regions, and how children ended.
//
// Each entry has one writer (descriptors and regions: the daemon; exits: the keeper), and a daemon may be killed between any
// two instructions. So nothing is locked, and an entry comes and goes by one atomic store, made after all that it stands for.
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "broker/base/clock.hpp"
#include "broker/base/error.hpp"

namespace berth::keeper {

// One bit a descriptor.
class KeptDescriptors {
 public:
  static constexpr int kMax = 1 << 20;  // the kernel's own limit (fs.nr_open)

  void add(int fd) { word(fd).fetch_or(bit(fd)); }
  void remove(int fd) { word(fd).fetch_and(~bit(fd)); }
  std::vector<int> all() const;

 private:
  static constexpr int kBits = 64;
  static std::uint64_t bit(int fd) { return std::uint64_t{1} << (fd % kBits); }
  std::atomic<std::uint64_t>& word(int fd);

  std::array<std::atomic<std::uint64_t>, kMax / kBits> words_{};
};

// A memory file in the shared descriptor table, or a block of one (RegionPools).
struct RegionSlot {
  static constexpr std::size_t kNameMax = 63;

  std::atomic<std::uint32_t> used{0};  // the other members hold only while it is 1
  int fd = -1;
  std::uint64_t size = 0;
  std::uint64_t pool_size = 0;  // of the file of which it is a block; 0: the file is its own
  std::uint64_t offset = 0;     // in that file
  std::array<char, kNameMax + 1> name{};
};

struct ExitRecord {
  pid_t pid = 0;
  int wait_status = 0;
  TimePoint at{};
  // The pid may be another process's by now.
  bool reaped = false;
};

// The last exits, oldest overwritten. They stay when they have been read: a daemon that died before it could store what it
// read reads them again in its next life.
class ExitRing {
 public:
  static constexpr std::uint64_t kSlots = 1 << 13;

  // The keeper's. append() gives the record's index, for mark_reaped().
  std::uint64_t append(pid_t pid, int wait_status, TimePoint at);
  void mark_reaped(std::uint64_t index);

  // The index of the next record.
  std::uint64_t end() const { return end_.load(std::memory_order_acquire); }
  // nullopt where it has been overwritten.
  std::optional<ExitRecord> read(std::uint64_t index) const;

 private:
  struct Slot {
    std::atomic<std::uint64_t> sequence{0};  // index + 1 while the slot holds that record whole
    std::atomic<pid_t> pid{0};
    std::atomic<int> wait_status{0};
    std::atomic<std::int64_t> at_us{0};
    std::atomic<bool> reaped{false};
  };
  std::atomic<std::uint64_t> end_{0};
  std::array<Slot, kSlots> slots_{};
};

// One program of the daemon that takes another's place. Written by the daemon up to `requested`, then by the keeper.
struct Replacement {
  enum class Stage : std::uint32_t { none, requested, started, done, failed };
  std::atomic<Stage> stage{Stage::none};
  std::array<char, 4096> binary{};
  std::array<char, 256> why{};  // of failed
  int old_binary = -1;          // a descriptor of the program to go back to
};

struct SharedTable {
  // Rises with each change of what lies in here: a keeper that takes over must know it by the same number.
  static constexpr std::uint64_t kLayout = 0x4265727468000002 + sizeof(Replacement);
  std::uint64_t layout = kLayout;
  // The keeper's own descriptors, for the one that takes over.
  int table_file = -1;
  int lock = -1;
  int exits_signal = -1;
  Replacement replacement;
  std::atomic<bool> served{false};  // by this daemon

  static constexpr std::size_t kRegions = 16'384;

  std::atomic<unsigned> restarts{0};
  KeptDescriptors kept;
  std::array<RegionSlot, kRegions> regions{};
  ExitRing exits;

  struct Unmap {
    void operator()(SharedTable* table) const;
  };
  using Pointer = std::unique_ptr<SharedTable, Unmap>;
  // In memory that children made by clone(2) share, and whoever opens `table_file`.
  static Result<Pointer> make();
  // That of a keeper whose place this process takes.
  static Result<Pointer> adopt(int table_file);

  // What must stay open when a daemon has died: kept descriptors and those of the regions. Sorted.
  std::vector<int> surviving_descriptors() const;
};

static_assert(std::atomic<std::uint64_t>::is_always_lock_free && std::atomic<bool>::is_always_lock_free,
              "a lock of a killed daemon would never be released");

}  // namespace berth::keeper

#include "broker/keeper/shared_table.hpp"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <new>

#include "broker/base/check.hpp"
#include "broker/base/unique_fd.hpp"

namespace berth::keeper {

std::atomic<std::uint64_t>& KeptDescriptors::word(int fd) {
  BERTH_CHECK(fd >= 0 && fd < kMax);
  return words_[static_cast<std::size_t>(fd / kBits)];
}

std::vector<int> KeptDescriptors::all() const {
  std::vector<int> kept;
  for (std::size_t i = 0; i < words_.size(); ++i) {
    for (std::uint64_t bits = words_[i].load(); bits != 0; bits &= bits - 1) {
      kept.push_back(static_cast<int>(i) * kBits + std::countr_zero(bits));
    }
  }
  return kept;
}

std::uint64_t ExitRing::append(pid_t pid, int wait_status, TimePoint at) {
  const std::uint64_t index = end_.load(std::memory_order_relaxed);
  Slot& slot = slots_[index % kSlots];
  slot.sequence.store(0);  // readers of the old record notice
  slot.pid.store(pid);
  slot.wait_status.store(wait_status);
  slot.at_us.store(at.time_since_epoch().count());
  slot.reaped.store(false);
  slot.sequence.store(index + 1);
  end_.store(index + 1, std::memory_order_release);
  return index;
}

void ExitRing::mark_reaped(std::uint64_t index) { slots_[index % kSlots].reaped.store(true); }

std::optional<ExitRecord> ExitRing::read(std::uint64_t index) const {
  const Slot& slot = slots_[index % kSlots];
  if (slot.sequence.load() != index + 1) return std::nullopt;
  const ExitRecord record{slot.pid.load(), slot.wait_status.load(), TimePoint{std::chrono::microseconds{slot.at_us.load()}},
                          slot.reaped.load()};
  if (slot.sequence.load() != index + 1) return std::nullopt;
  return record;
}

void SharedTable::Unmap::operator()(SharedTable* table) const { ::munmap(table, sizeof(SharedTable)); }

Result<SharedTable::Pointer> SharedTable::make() {
  UniqueFd file{::memfd_create("keeper", MFD_CLOEXEC)};
  if (!file || ::ftruncate(file.get(), sizeof(SharedTable)) != 0) return fail_errno(errno, "make the keeper's table");
  void* memory = ::mmap(nullptr, sizeof(SharedTable), PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (memory == MAP_FAILED) return fail_errno(errno, "map the keeper's table");
  Pointer table{new (memory) SharedTable};
  table->table_file = file.release();
  return table;
}

Result<SharedTable::Pointer> SharedTable::adopt(int table_file) {
  struct stat attributes{};
  if (::fstat(table_file, &attributes) != 0) return fail_errno(errno, "the keeper's table");
  void* memory = attributes.st_size == sizeof(SharedTable)
                     ? ::mmap(nullptr, sizeof(SharedTable), PROT_READ | PROT_WRITE, MAP_SHARED, table_file, 0)
                     : MAP_FAILED;
  if (memory == MAP_FAILED) return fail(Code::failed_precondition, "the keeper's table has another layout");
  Pointer table{static_cast<SharedTable*>(memory)};
  if (table->layout != kLayout) return fail(Code::failed_precondition, "the keeper's table has another layout");
  return table;
}

std::vector<int> SharedTable::surviving_descriptors() const {
  std::vector<int> surviving = kept.all();
  for (const RegionSlot& region : regions) {
    if (region.used.load(std::memory_order_acquire) == 1) surviving.push_back(region.fd);
  }
  std::ranges::sort(surviving);
  const auto [repeated, end] = std::ranges::unique(surviving);
  surviving.erase(repeated, end);
  return surviving;
}

}  // namespace berth::keeper

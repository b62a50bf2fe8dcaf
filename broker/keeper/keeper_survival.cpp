#include "broker/keeper/keeper_survival.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

namespace berth::keeper {

namespace {

void unmap(std::span<std::byte> memory) {
  if (!memory.empty()) ::munmap(memory.data(), memory.size());
}

}  // namespace

KeeperSurvival::KeeperSurvival(SharedTable& table) : table_(table), survivors_(table.kept.all()) {
  for (RegionSlot& slot : table_.regions) {
    if (slot.used.load(std::memory_order_acquire) != 1) continue;
    regions_.emplace(slot.name.data(), Region{&slot, {}});
    if (slot.pool_size != 0) pools_.adopt(slot.fd, slot.pool_size, slot.offset);
  }
}

KeeperSurvival::~KeeperSurvival() {
  for (const auto& [name, region] : regions_) {
    if (region.slot->pool_size == 0) unmap(region.memory);
  }
}

bool KeeperSurvival::survived(int fd) const { return std::ranges::binary_search(survivors_, fd); }

Result<std::span<std::byte>> KeeperSurvival::region(std::string_view name, std::size_t size) {
  const std::scoped_lock lock(mutex_);
  auto found = regions_.find(name);
  if (found == regions_.end()) {
    auto made = make(name, size);
    if (!made) return fail(made.error());
    found = regions_.emplace(name, *made).first;
  }
  Region& region = found->second;
  if (region.slot->size < size) {
    return fail(Code::invalid_argument, "memory region `{}` has {} bytes, not {}", name, region.slot->size, size);
  }
  if (region.memory.empty()) {
    if (auto mapped = map(region); !mapped) return fail(mapped.error());
  }
  return region.memory.first(size);
}

Result<KeeperSurvival::Region> KeeperSurvival::make(std::string_view name, std::size_t size) {
  if (name.empty() || name.size() > RegionSlot::kNameMax || size == 0) {
    return fail(Code::invalid_argument, "memory region `{}` of {} bytes: a name has 1 to {} bytes, a region at least 1", name,
                size, RegionSlot::kNameMax);
  }
  RegionSlot* const slot = free_slot();
  if (slot == nullptr) {
    return fail(Code::resource_exhausted, "memory region `{}`: there are {} already", name, SharedTable::kRegions);
  }
  slot->name.fill('\0');
  std::ranges::copy(name, slot->name.begin());
  slot->size = size;
  Region region{slot, {}};
  if (size <= RegionPools::kRegionMax) {
    auto block = pools_.take(size);
    if (!block) return fail(block.error());
    slot->fd = block->fd;
    slot->pool_size = block->file_size;
    slot->offset = block->offset;
    region.memory = block->memory;
  } else {
    auto fd = make_memory_file(slot->name.data(), size);  // the name shows in /proc/PID/maps
    if (!fd) return fail(fd.error());
    slot->fd = *fd;
    slot->pool_size = slot->offset = 0;
  }
  // A daemon killed before this leaves a descriptor that nothing names: the keeper closes it.
  slot->used.store(1, std::memory_order_release);
  return region;
}

// Behind the one that was found last: the first ones are long in use.
RegionSlot* KeeperSurvival::free_slot() {
  for (std::size_t tried = 0; tried < SharedTable::kRegions; ++tried) {
    RegionSlot& slot = table_.regions[next_slot_];
    next_slot_ = (next_slot_ + 1) % SharedTable::kRegions;
    if (slot.used.load() == 0) return &slot;
  }
  return nullptr;
}

Result<> KeeperSurvival::map(Region& region) {
  const RegionSlot& slot = *region.slot;
  if (slot.pool_size != 0) {
    auto memory = pools_.memory(slot.fd, slot.offset, slot.size);
    if (!memory) return fail(memory.error());
    region.memory = *memory;
    return {};
  }
  void* memory = ::mmap(nullptr, slot.size, PROT_READ | PROT_WRITE, MAP_SHARED, slot.fd, 0);
  if (memory == MAP_FAILED) return fail_errno(errno, fmt::format("map memory region `{}`", slot.name.data()));
  region.memory = std::span{static_cast<std::byte*>(memory), slot.size};
  return {};
}

void KeeperSurvival::remove_region(std::string_view name) {
  const std::scoped_lock lock(mutex_);
  const auto found = regions_.find(name);
  if (found == regions_.end()) return;
  RegionSlot& slot = *found->second.slot;
  const int fd = slot.fd;
  slot.used.store(0, std::memory_order_release);  // before close(2): the number may be another's afterwards
  if (slot.pool_size != 0) {
    pools_.give_back(fd, slot.offset);
  } else {
    unmap(found->second.memory);
    ::close(fd);
  }
  regions_.erase(found);
}

std::vector<std::string> KeeperSurvival::regions() const {
  const std::scoped_lock lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, region] : regions_) names.push_back(name);
  return names;
}

// The keeper waits for the signal; a daemon that dies before it is only restarted.
Result<> KeeperSurvival::replace_with(const std::string& binary) {
  Replacement& replacement = table_.replacement;
  if (replacement.stage == Replacement::Stage::started)
    return fail(Code::failed_precondition, "another replacement is under way");
  if (binary.size() >= replacement.binary.size()) return fail(Code::invalid_argument, "`{}` is too long", binary);
  replacement.binary.fill('\0');
  std::ranges::copy(binary, replacement.binary.begin());
  replacement.stage = Replacement::Stage::requested;
  if (::kill(::getppid(), SIGUSR2) != 0) return fail_errno(errno, "tell the keeper");
  return {};
}

void KeeperSurvival::serves() {
  table_.served = true;
  auto started = Replacement::Stage::started;
  if (table_.replacement.stage.compare_exchange_strong(started, Replacement::Stage::done)) ::kill(::getppid(), SIGUSR2);
}

std::string KeeperSurvival::replacement_failure() const {
  const Replacement& replacement = table_.replacement;
  return replacement.stage == Replacement::Stage::failed ? replacement.why.data() : "";
}

}  // namespace berth::keeper

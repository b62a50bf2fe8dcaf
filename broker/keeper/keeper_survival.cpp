#include "broker/keeper/keeper_survival.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "broker/base/unique_fd.hpp"

namespace berth::keeper {

namespace {

void unmap(std::span<std::byte> memory) {
  if (!memory.empty()) ::munmap(memory.data(), memory.size());
}

Result<UniqueFd> make_memory_file(const std::string& name, std::size_t size) {
  // The kernel takes 249 bytes of name; ours shows in /proc/PID/maps.
  UniqueFd fd{::memfd_create(name.c_str(), MFD_CLOEXEC)};
  if (!fd) return fail_errno(errno, fmt::format("make memory region `{}`", name));
  if (::ftruncate(fd.get(), static_cast<off_t>(size)) != 0)
    return fail_errno(errno, fmt::format("size memory region `{}`", name));
  return fd;
}

}  // namespace

KeeperSurvival::KeeperSurvival(SharedTable& table) : table_(table) {
  for (RegionSlot& slot : table_.regions) {
    if (slot.used.load(std::memory_order_acquire) == 1) regions_.emplace(slot.name.data(), Region{&slot, {}});
  }
}

KeeperSurvival::~KeeperSurvival() {
  for (const auto& [name, region] : regions_) unmap(region.memory);
}

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
  const auto slot = std::ranges::find_if(table_.regions, [](const RegionSlot& s) { return s.used.load() == 0; });
  if (slot == table_.regions.end()) {
    return fail(Code::resource_exhausted, "memory region `{}`: there are {} already", name, SharedTable::kRegions);
  }
  auto fd = make_memory_file(std::string{name}, size);
  if (!fd) return fail(fd.error());
  slot->name.fill('\0');
  std::ranges::copy(name, slot->name.begin());
  slot->size = size;
  slot->fd = fd->release();
  // A daemon killed before this leaves a descriptor that nothing names: the keeper closes it.
  slot->used.store(1, std::memory_order_release);
  return Region{slot, {}};
}

Result<> KeeperSurvival::map(Region& region) {
  void* memory = ::mmap(nullptr, region.slot->size, PROT_READ | PROT_WRITE, MAP_SHARED, region.slot->fd, 0);
  if (memory == MAP_FAILED) return fail_errno(errno, fmt::format("map memory region `{}`", region.slot->name.data()));
  region.memory = std::span{static_cast<std::byte*>(memory), region.slot->size};
  return {};
}

void KeeperSurvival::remove_region(std::string_view name) {
  const std::scoped_lock lock(mutex_);
  const auto found = regions_.find(name);
  if (found == regions_.end()) return;
  unmap(found->second.memory);
  RegionSlot& slot = *found->second.slot;
  const int fd = slot.fd;
  slot.used.store(0, std::memory_order_release);  // before close(2): the number may be another's afterwards
  ::close(fd);
  regions_.erase(found);
}

std::vector<std::string> KeeperSurvival::regions() const {
  const std::scoped_lock lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, region] : regions_) names.push_back(name);
  return names;
}

}  // namespace berth::keeper

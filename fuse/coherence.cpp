#include "fuse/coherence.hpp"

#include <algorithm>
#include <bit>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace berth::fuse {
namespace {

std::uint64_t bit_of(std::string_view name) { return std::uint64_t{1} << (std::hash<std::string_view>{}(name) % 64); }

// From here on nearly every new name would be taken for one that was missing: dropping all names is cheaper.
constexpr int kMissingBitsMax = 40;

}  // namespace

void Coherence::join(MountNumber mount, std::shared_ptr<KernelCache> cache) {
  const std::unique_lock lock(caches_mutex_);
  caches_[mount] = std::move(cache);
}

void Coherence::leave(MountNumber mount) {
  std::shared_ptr<KernelCache> ends_unlocked;
  const std::unique_lock lock(caches_mutex_);
  const auto found = caches_.find(mount);
  if (found == caches_.end()) return;
  ends_unlocked = std::move(found->second);
  caches_.erase(found);
}

std::shared_ptr<KernelCache> Coherence::cache_of(MountNumber mount) const {
  const std::shared_lock lock(caches_mutex_);
  const auto found = caches_.find(mount);
  return found == caches_.end() ? nullptr : found->second;
}

Node& Coherence::know(const InodeKey& key, MountNumber mount, Ino ino) {
  Shard& of = shard(key);
  const std::scoped_lock lock(of.mutex);
  const auto [found, fresh] = of.nodes.try_emplace(key);
  Node& node = found->second;
  if (fresh) node.key_ = key;  // who knows it already reads it without the lock
  node.knowers_.push_back({.ino = ino, .missing = 0, .mount = mount, .writers = 0, .readers = 0, .told_in = 0});
  return node;
}

bool Coherence::unknow(Node& node, MountNumber mount, Ino ino) {
  const InodeKey key = node.key_;
  Shard& of = shard(key);
  const std::scoped_lock lock(of.mutex);
  const auto found =
      std::ranges::find_if(node.knowers_, [&](const Knower& knower) { return knower.mount == mount && knower.ino == ino; });
  if (found == node.knowers_.end()) return false;
  node.opens_ -= found->writers + found->readers;
  node.knowers_.erase(found);
  if (!node.knowers_.empty()) return false;
  const bool watched = node.watched();
  of.nodes.erase(key);
  return watched;
}

Coherence::Knowers Coherence::others(const Node& node, MountNumber by) const {
  const std::scoped_lock lock(shard(node.key_).mutex);
  Knowers found;
  std::ranges::copy_if(node.knowers_, std::back_inserter(found), [by](const Knower& knower) { return knower.mount != by; });
  return found;
}

Coherence::Knowers Coherence::turn_version(Node& directory, MountNumber by, std::uint32_t& before) {
  const std::scoped_lock lock(shard(directory.key_).mutex);
  return turn_version_locked(directory, by, before);
}

Coherence::Knowers Coherence::turn_version_locked(Node& directory, MountNumber by, std::uint32_t& before) {
  before = directory.names_version_;
  directory.stamp_ = 0;
  Knowers found;
  for (Knower& knower : directory.knowers_) {
    if (knower.mount == by) continue;
    found.push_back(knower);
    if (std::popcount(knower.missing) <= kMissingBitsMax || knower.told_in == NameEpochs::kAlways) continue;
    // drop() will drop all of its names: before that, so that none remembered meanwhile is lost.
    if (const auto cache = cache_of(knower.mount); cache && cache->drops_all_names()) knower.missing = 0;
  }
  if (!found.empty()) ++directory.names_version_;
  return found;
}

void Coherence::name_changed(Node& directory, std::string_view name, const std::optional<InodeKey>& was, std::uint32_t seen,
                             MountNumber by) {
  std::uint32_t before = 0;
  const Knowers knowers = turn_version(directory, by, before);
  if (knowers.empty()) return;
  if (before != seen) return drop(knowers, name, nullptr);
  Knowers knew;  // only now: who gets to know it later sees the new version
  if (was) {
    Shard& of = shard(*was);
    const std::scoped_lock lock(of.mutex);
    if (const auto found = of.nodes.find(*was); found != of.nodes.end()) {
      knew.assign(found->second.knowers_.begin(), found->second.knowers_.end());
    }
  }
  drop(knowers, name, &knew);
}

void Coherence::name_changed(Node& directory, std::string_view name, MountNumber by) {
  std::uint32_t before = 0;
  if (const Knowers knowers = turn_version(directory, by, before); !knowers.empty()) drop(knowers, name, nullptr);
}

void Coherence::names_changed(Node& directory, std::string_view name, Node& other_directory, std::string_view other_name,
                              MountNumber by) {
  std::uint32_t before = 0;
  Left left;
  if (const Knowers knowers = turn_version(directory, by, before); !knowers.empty()) collect(knowers, name, nullptr, left);
  if (const Knowers knowers = turn_version(other_directory, by, before); !knowers.empty()) {
    collect(knowers, other_name, nullptr, left);
  }
  drop(std::move(left));
}

void Coherence::drop(const Knowers& knowers, std::string_view name, const Knowers* was) {
  Left left;
  collect(knowers, name, was, left);
  drop(std::move(left));
}

void Coherence::drop(Left left) {
  notifier_.drop(left.names);
  notifier_.drop_attributes(std::move(left.inodes));
}

// Drops what can be dropped without waiting, and adds the rest to `left`. `was`: who knew what the name stood for; null:
// everybody may have.
void Coherence::collect(const Knowers& knowers, std::string_view name, const Knowers* was, Left& left) const {
  const std::uint64_t bit = bit_of(name);
  for (const Knower& knower : knowers) {
    const auto cache = cache_of(knower.mount);
    if (!cache) continue;
    if (!cache->drop_attributes(knower.ino)) left.inodes.push_back({cache, knower.ino});
    if (!cache->names().may_be_served(knower.told_in)) continue;
    // What it is taking in is not dropped along with all others: once it has done so, it can be by its name.
    const bool taking_in = knower.told_in == NameEpochs::kAlways;
    const bool too_many = !taking_in && std::popcount(knower.missing) > kMissingBitsMax;
    if ((too_many || cache->slow()) && cache->drop_all_names()) {
      if (taking_in) cache->names().again_after_lists();
      continue;
    }
    const bool had_it = was == nullptr || std::ranges::any_of(*was, [&](const Knower& k) { return k.mount == knower.mount; });
    if (!had_it && (knower.missing & bit) == 0) continue;
    if (!taking_in && cache->names().dropped_enough() && cache->drop_all_names()) continue;
    left.names.push_back({cache, knower.ino, std::string(name)});
  }
}

void Coherence::drop_attributes(const Knowers& knowers) {
  std::vector<CachedInode> left;
  for (const Knower& knower : knowers) {
    auto cache = cache_of(knower.mount);
    if (cache && !cache->drop_attributes(knower.ino)) left.push_back({std::move(cache), knower.ino});
  }
  notifier_.drop_attributes(std::move(left));
}

bool Coherence::prune(MountNumber mount, std::span<const Ino> inodes) {
  const auto cache = cache_of(mount);
  return cache == nullptr || cache->prune(inodes);
}

void Coherence::forget_soon(MountNumber mount, Ino directory, std::string name) {
  if (auto cache = cache_of(mount)) notifier_.drop_soon({std::move(cache), directory, std::move(name)});
}

void Coherence::attributes_changed(Node& node, MountNumber by) {
  node.stamp_ = 0;
  drop_attributes(others(node, by));
}

void Coherence::attributes_changed(const InodeKey& key, MountNumber by) {
  Knowers knowers;
  {
    Shard& of = shard(key);
    const std::scoped_lock lock(of.mutex);
    const auto found = of.nodes.find(key);
    if (found == of.nodes.end()) return;
    found->second.stamp_ = 0;
    std::ranges::copy_if(found->second.knowers_, std::back_inserter(knowers), [by](const Knower& k) { return k.mount != by; });
  }
  drop_attributes(knowers);
}

void Coherence::data_changed(const Node& node, MountNumber by, off_t offset, off_t length) {
  Knowers knowers;
  {
    const std::scoped_lock lock(shard(node.key_).mutex);
    std::ranges::copy_if(node.knowers_, std::back_inserter(knowers),
                         [by](const Knower& knower) { return knower.mount != by && knower.writers + knower.readers > 0; });
  }
  std::vector<CachedData> data;
  for (const Knower& knower : knowers) {
    if (auto cache = cache_of(knower.mount)) data.push_back({std::move(cache), knower.ino, offset, length});
  }
  notifier_.drop_data(data);
}

void Coherence::access_changed(const Node& directory, MountNumber by) {
  for (const Knower& knower : others(directory, by)) {
    if (const auto cache = cache_of(knower.mount)) cache->access_changed();
  }
}

void Coherence::hand_out(Node& node, MountNumber mount, const struct stat& attributes) {
  const Stamp now = stamp_of(attributes);
  const Stamp before = node.stamp_.exchange(now);
  if (before != 0 && before != now) drop_attributes(others(node, mount));
}

Coherence::Knowers Coherence::all_knowers(const InodeKey& key) const {
  Shard& of = shard(key);
  const std::scoped_lock lock(of.mutex);
  const auto found = of.nodes.find(key);
  if (found == of.nodes.end()) return {};
  return {found->second.knowers_.begin(), found->second.knowers_.end()};
}

void Coherence::name_changed_past(const InodeKey& directory, std::string_view name) {
  Knowers knowers;
  {
    Shard& of = shard(directory);
    const std::scoped_lock lock(of.mutex);
    const auto found = of.nodes.find(directory);
    if (found == of.nodes.end()) return;
    std::uint32_t before = 0;
    knowers = turn_version_locked(found->second, kNoMount, before);
  }
  drop(knowers, name, nullptr);
}

void Coherence::attributes_changed_past(const InodeKey& key, Stamp now) {
  Knowers knowers;
  {
    Shard& of = shard(key);
    const std::scoped_lock lock(of.mutex);
    const auto found = of.nodes.find(key);
    if (found == of.nodes.end() || found->second.stamp_ == now) return;
    found->second.stamp_ = 0;
    knowers.assign(found->second.knowers_.begin(), found->second.knowers_.end());
  }
  drop_attributes(knowers);
}

void Coherence::access_changed_past(const InodeKey& directory) {
  for (const Knower& knower : all_knowers(directory)) {
    if (const auto cache = cache_of(knower.mount)) cache->access_changed();
  }
}

void Coherence::left_view(const InodeKey& key) {
  Shard& of = shard(key);
  const std::scoped_lock lock(of.mutex);
  if (const auto found = of.nodes.find(key); found != of.nodes.end()) found->second.set_in_view(false);
}

bool Coherence::stop_hearing(const InodeKey& key) {
  Shard& of = shard(key);
  const std::scoped_lock lock(of.mutex);
  const auto found = of.nodes.find(key);
  if (found == of.nodes.end() || found->second.unheard()) return false;
  Node& node = found->second;
  if (std::ranges::none_of(node.knowers_, [](const Knower& knower) { return knower.writers > 0; })) return false;
  node.set_unheard(true);
  node.stamp_ = 0;  // whatever kernels have got to keep for long is to be dropped
  return true;
}

void Coherence::opened(Node& node, MountNumber by, Ino ino, bool writes, bool changes_attributes) {
  Knowers knowers;
  {
    const std::scoped_lock lock(shard(node.key_).mutex);
    for (Knower& knower : node.knowers_) {
      if (knower.mount != by) {
        if (changes_attributes) knowers.push_back(knower);
      } else if (knower.ino == ino) {
        ++(writes ? knower.writers : knower.readers);
        ++node.opens_;
      }
    }
  }
  drop_attributes(knowers);
}

bool Coherence::closed(Node& node, MountNumber by, Ino ino, bool writes) {
  const std::scoped_lock lock(shard(node.key_).mutex);
  for (Knower& knower : node.knowers_) {
    std::uint32_t& count = writes ? knower.writers : knower.readers;
    if (knower.mount != by || knower.ino != ino || count == 0) continue;
    --count;
    --node.opens_;
  }
  return writes && node.unheard() && std::ranges::none_of(node.knowers_, [](const Knower& knower) { return knower.writers > 0; });
}

Coherence::Opens Coherence::opens(const Node& node, MountNumber mount) const {
  Opens found;
  if (node.opens_.load(std::memory_order_acquire) == 0) return found;
  const std::scoped_lock lock(shard(node.key_).mutex);
  for (const Knower& knower : node.knowers_) {
    if (knower.mount == mount) {
      found.written_here = found.written_here || knower.writers > 0;
    } else {
      found.read_elsewhere = found.read_elsewhere || knower.readers > 0;
      found.written_elsewhere = found.written_elsewhere || knower.writers > 0;
    }
  }
  return found;
}

void Coherence::all_missing(Node& directory, MountNumber mount) {
  const std::scoped_lock lock(shard(directory.key_).mutex);
  for (Knower& knower : directory.knowers_) {
    if (knower.mount == mount) knower.missing = ~std::uint64_t{0};
  }
}

void Coherence::tell(Knower& knower, const NameEpochs& epochs) {
  if (!epochs.may_be_served(knower.told_in)) knower.missing = 0;
  knower.told_in = std::max(knower.told_in, epochs.now());
}

void Coherence::telling(Node& directory, MountNumber mount, const NameEpochs& epochs) {
  const std::scoped_lock lock(shard(directory.key_).mutex);
  for (Knower& knower : directory.knowers_) {
    if (knower.mount == mount) tell(knower, epochs);
  }
}

void Coherence::missing(Node& directory, std::string_view name, MountNumber mount, const NameEpochs& epochs) {
  const std::scoped_lock lock(shard(directory.key_).mutex);
  for (Knower& knower : directory.knowers_) {
    if (knower.mount != mount) continue;
    tell(knower, epochs);
    knower.missing |= bit_of(name);
  }
}

void Coherence::taking_in(Node& directory, MountNumber mount) {
  const std::scoped_lock lock(shard(directory.key_).mutex);
  for (Knower& knower : directory.knowers_) {
    if (knower.mount == mount) knower.told_in = NameEpochs::kAlways;
  }
}

void Coherence::taken_in(Node& directory, MountNumber mount, const NameEpochs& epochs) {
  const std::scoped_lock lock(shard(directory.key_).mutex);
  for (Knower& knower : directory.knowers_) {
    if (knower.mount == mount) knower.told_in = epochs.now();
  }
}

}  // namespace berth::fuse

#include "fuse/catalog.hpp"

#include <algorithm>
#include <array>

namespace berth::fuse {
namespace {

template <class Map>
const typename Map::mapped_type* find_in(const Map& map, const typename Map::key_type& id) {
  const auto found = map.find(id);
  return found == map.end() ? nullptr : &found->second;
}

template <class Map>
typename Map::mapped_type* edit_in(Map& map, const typename Map::key_type& id) {
  const auto found = map.find(id);
  return found == map.end() ? nullptr : &found->second;
}

template <class Map, class Predicate>
const typename Map::mapped_type* find_where(const Map& map, Predicate matches) {
  const auto found = std::find_if(map.begin(), map.end(), [&](const auto& entry) { return matches(entry.second); });
  return found == map.end() ? nullptr : &found->second;
}

template <class Map>
std::vector<const typename Map::mapped_type*> all_of_file_system(const Map& map, const FileSystemId& id) {
  std::vector<const typename Map::mapped_type*> records;
  for (const auto& [key, record] : map)
    if (record.file_system == id) records.push_back(&record);
  return records;
}

constexpr std::array<std::string_view, 6> kLifeCycles{"creating", "available", "updating", "deleting", "deleted", "error"};
constexpr std::array<std::string_view, 3> kOverwriteProtections{"ENABLED", "DISABLED", "REPLICATING"};
constexpr std::array<std::string_view, 4> kReplicationStatuses{"ENABLING", "ENABLED", "DELETING", "ERROR"};

template <class Enum, std::size_t kCount>
std::optional<Enum> parse_in(const std::array<std::string_view, kCount>& names, std::string_view text) {
  const auto found = std::find(names.begin(), names.end(), text);
  if (found == names.end()) return std::nullopt;
  return static_cast<Enum>(found - names.begin());
}

template <class Enum, std::size_t kCount>
std::string name_in(const std::array<std::string_view, kCount>& names, Enum value) {
  return std::string(names.at(static_cast<std::size_t>(value)));
}

}  // namespace

const FileSystemRecord* Catalog::find(const FileSystemId& id) const { return find_in(file_systems_, id); }
const MountTargetRecord* Catalog::find(const MountTargetId& id) const { return find_in(mount_targets_, id); }
const AccessPointRecord* Catalog::find(const AccessPointId& id) const { return find_in(access_points_, id); }

const FileSystemRecord* Catalog::find_by_token(const std::string& owner, const std::string& creation_token) const {
  return find_where(file_systems_, [&](const FileSystemRecord& record) {
    return record.owner == owner && record.creation_token == creation_token;
  });
}

const AccessPointRecord* Catalog::find_access_point_by_token(const std::string& owner, const std::string& client_token) const {
  return find_where(access_points_, [&](const AccessPointRecord& record) {
    return record.owner == owner && record.client_token == client_token;
  });
}

std::vector<const MountTargetRecord*> Catalog::mount_targets_of(const FileSystemId& id) const {
  return all_of_file_system(mount_targets_, id);
}

std::vector<const AccessPointRecord*> Catalog::access_points_of(const FileSystemId& id) const {
  return all_of_file_system(access_points_, id);
}

const FileSystemRecord* Catalog::source_of(const FileSystemId& destination) const {
  return find_where(file_systems_, [&](const FileSystemRecord& record) {
    return record.replication && record.replication->destination == destination;
  });
}

const MountTargetRecord* Catalog::mount_target_in(const FileSystemId& id, const std::string& zone) const {
  return find_where(mount_targets_,
                    [&](const MountTargetRecord& record) { return record.file_system == id && record.zone == zone; });
}

void Catalog::put(FileSystemRecord record) {
  note("file-system", record.id.str());
  restore(std::move(record));
}

void Catalog::put(MountTargetRecord record) {
  note("mount-target", record.id.str());
  restore(std::move(record));
}

void Catalog::put(AccessPointRecord record) {
  note("access-point", record.id.str());
  restore(std::move(record));
}

FileSystemRecord* Catalog::edit(const FileSystemId& id) {
  auto* record = edit_in(file_systems_, id);
  if (record != nullptr) note("file-system", id.str());
  return record;
}

MountTargetRecord* Catalog::edit(const MountTargetId& id) {
  auto* record = edit_in(mount_targets_, id);
  if (record != nullptr) note("mount-target", id.str());
  return record;
}

AccessPointRecord* Catalog::edit(const AccessPointId& id) {
  auto* record = edit_in(access_points_, id);
  if (record != nullptr) note("access-point", id.str());
  return record;
}

// The id may be the record's own, so the change is noted before the record goes.
void Catalog::erase(const FileSystemId& id) {
  note("file-system", id.str());
  file_systems_.erase(id);
}

void Catalog::erase(const MountTargetId& id) {
  note("mount-target", id.str());
  mount_targets_.erase(id);
}

void Catalog::erase(const AccessPointId& id) {
  note("access-point", id.str());
  access_points_.erase(id);
}

std::vector<Catalog::Change> Catalog::take_changes() {
  std::vector<Change> changes(changes_.begin(), changes_.end());
  changes_.clear();
  return changes;
}

void Catalog::restore(FileSystemRecord record) {
  auto id = record.id;
  file_systems_.insert_or_assign(std::move(id), std::move(record));
}

void Catalog::restore(MountTargetRecord record) {
  auto id = record.id;
  mount_targets_.insert_or_assign(std::move(id), std::move(record));
}

void Catalog::restore(AccessPointRecord record) {
  auto id = record.id;
  access_points_.insert_or_assign(std::move(id), std::move(record));
}

std::string to_string(LifeCycle life_cycle) { return name_in(kLifeCycles, life_cycle); }
std::string to_string(OverwriteProtection protection) { return name_in(kOverwriteProtections, protection); }
std::string to_string(ReplicationStatus status) { return name_in(kReplicationStatuses, status); }

std::optional<LifeCycle> parse_life_cycle(std::string_view text) { return parse_in<LifeCycle>(kLifeCycles, text); }
std::optional<OverwriteProtection> parse_overwrite_protection(std::string_view text) {
  return parse_in<OverwriteProtection>(kOverwriteProtections, text);
}
std::optional<ReplicationStatus> parse_replication_status(std::string_view text) {
  return parse_in<ReplicationStatus>(kReplicationStatuses, text);
}

}  // namespace berth::fuse

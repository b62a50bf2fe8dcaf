// Catalog: the file systems, mount targets and access points that exist, as values.
//
// Pure bookkeeping: no I/O, no clock, no libfuse. A copyable value, not thread-safe: the control plane holds it under its lock.
// The rules of the EFS API (what may be made, in which state) are the EFS service's; the catalog keeps the records, finds them
// and notes which ones changed.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/base/clock.hpp"
#include "broker/base/id.hpp"
#include "fuse/share.hpp"

namespace berth::fuse {

using FileSystemId = Id<struct FileSystemIdTag>;    // fs-0123456789abcdef0
using MountTargetId = Id<struct MountTargetIdTag>;  // fsmt-...
using AccessPointId = Id<struct AccessPointIdTag>;  // fsap-...
using Tags = std::map<std::string, std::string>;

enum class LifeCycle { creating, available, updating, deleting, deleted, error };

// May a replication overwrite the file system? `replicating`: one does, and clients can't write.
enum class OverwriteProtection { enabled, disabled, replicating };

enum class ReplicationStatus { enabling, enabled, deleting, error };

// A file system's replication to another one.
struct Replication {
  FileSystemId destination;
  ReplicationStatus status = ReplicationStatus::enabling;
  std::string message;  // why `error`
  std::string role_arn;
  TimePoint created{};
  std::optional<TimePoint> last_replicated;  // what the source held then, the destination holds on disk
};

// A rule of lifecycle management, in EFS's words: "TransitionToIA", "AFTER_30_DAYS".
struct LifecycleRule {
  std::string transition, when;
};

struct FileSystemRecord {
  FileSystemId id;
  std::string arn;
  std::string owner;  // account, 12 digits
  std::string creation_token;
  TimePoint created{};
  LifeCycle life_cycle = LifeCycle::creating;
  std::string performance_mode = "generalPurpose";
  std::string throughput_mode = "bursting";
  std::optional<double> provisioned_mibps;
  std::optional<TimePoint> throughput_lowered;  // when the mode was last changed or the provisioned figure decreased
  bool encrypted = false;
  std::string kms_key_id;
  std::string zone, zone_id;          // One Zone file systems only
  std::optional<std::string> policy;  // the file system policy, as it was put
  // Last measured by the shell; 0 at the time of creation as EFS answers it.
  std::uint64_t size_bytes = 0;
  std::optional<TimePoint> size_measured;
  std::vector<LifecycleRule> lifecycle;
  std::optional<bool> backup;  // the backup policy; nullopt: none was put
  OverwriteProtection overwrite_protection = OverwriteProtection::enabled;
  std::optional<Replication> replication;  // whose source it is
  Tags tags;
};

struct MountTargetRecord {
  MountTargetId id;
  FileSystemId file_system;
  std::string owner;
  LifeCycle life_cycle = LifeCycle::creating;
  std::string vpc, subnet, zone, zone_id;
  std::string address;    // 10.0.1.17
  std::string interface;  // eni-...
  std::vector<std::string> security_groups;
};

struct AccessPointRecord {
  AccessPointId id;
  std::string arn;
  FileSystemId file_system;
  std::string owner;
  std::string client_token;
  LifeCycle life_cycle = LifeCycle::creating;
  std::optional<PosixUser> identity;
  std::string root = "/";
  std::optional<CreationInfo> creation;
  Tags tags;
};

class Catalog {
 public:
  // A record that changed or went; kinds "file-system", "mount-target", "access-point".
  struct Change {
    std::string kind, key;
    auto operator<=>(const Change&) const = default;
  };

  const std::map<FileSystemId, FileSystemRecord>& file_systems() const { return file_systems_; }
  const std::map<MountTargetId, MountTargetRecord>& mount_targets() const { return mount_targets_; }
  const std::map<AccessPointId, AccessPointRecord>& access_points() const { return access_points_; }

  // nullptr where there is none.
  const FileSystemRecord* find(const FileSystemId& id) const;
  const MountTargetRecord* find(const MountTargetId& id) const;
  const AccessPointRecord* find(const AccessPointId& id) const;
  const FileSystemRecord* find_by_token(const std::string& owner, const std::string& creation_token) const;
  const AccessPointRecord* find_access_point_by_token(const std::string& owner, const std::string& client_token) const;
  // In the order of their ids.
  std::vector<const MountTargetRecord*> mount_targets_of(const FileSystemId& id) const;
  std::vector<const AccessPointRecord*> access_points_of(const FileSystemId& id) const;
  // The file system whose replication has `destination`.
  const FileSystemRecord* source_of(const FileSystemId& destination) const;
  // The one through which a client in `zone` reaches the file system.
  const MountTargetRecord* mount_target_in(const FileSystemId& id, const std::string& zone) const;

  // Adds a record, or puts it in the place of the one with its id.
  void put(FileSystemRecord record);
  void put(MountTargetRecord record);
  void put(AccessPointRecord record);
  // nullptr where there is none; the record counts as changed.
  FileSystemRecord* edit(const FileSystemId& id);
  MountTargetRecord* edit(const MountTargetId& id);
  AccessPointRecord* edit(const AccessPointId& id);
  void erase(const FileSystemId& id);
  void erase(const MountTargetId& id);
  void erase(const AccessPointId& id);

  // What changed since the last call, each record once, in order.
  std::vector<Change> take_changes();
  // Puts a record back as it was stored; notes no change.
  void restore(FileSystemRecord record);
  void restore(MountTargetRecord record);
  void restore(AccessPointRecord record);

 private:
  void note(std::string kind, std::string key) { changes_.insert(Change{std::move(kind), std::move(key)}); }

  std::map<FileSystemId, FileSystemRecord> file_systems_;
  std::map<MountTargetId, MountTargetRecord> mount_targets_;
  std::map<AccessPointId, AccessPointRecord> access_points_;
  std::set<Change> changes_;
};

// "creating", "available", ... as EFS writes them.
std::string to_string(LifeCycle life_cycle);
std::optional<LifeCycle> parse_life_cycle(std::string_view text);
// "ENABLED", "DISABLED", "REPLICATING"; "ENABLING", ...
std::string to_string(OverwriteProtection protection);
std::optional<OverwriteProtection> parse_overwrite_protection(std::string_view text);
std::string to_string(ReplicationStatus status);
std::optional<ReplicationStatus> parse_replication_status(std::string_view text);

}  // namespace berth::fuse

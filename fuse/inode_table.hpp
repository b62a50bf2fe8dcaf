// InodeTable: what one mount's kernel knows: nodeids that stay the same over restarts, and the way from each to its inode.
//
// An inode is remembered as a file handle and opened by it when needed; where handles do not work (overlayfs, no
// CAP_DAC_READ_SEARCH, another file system mounted inside) its O_PATH descriptor is held instead. Thread-safe.
// Locks: mutex_, then Coherence's. Neither is held over a system call that may touch the disk.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "broker/base/survival.hpp"
#include "broker/base/unique_fd.hpp"
#include "fuse/answer.hpp"
#include "fuse/coherence.hpp"
#include "fuse/descriptor_cache.hpp"
#include "fuse/layout.hpp"
#include "fuse/slot_table.hpp"

namespace berth::fuse {

// An O_PATH descriptor for as long as it lives.
class Reach {
 public:
  Reach(int fd, Descriptor owner) : fd_(fd), owner_(std::move(owner)) {}
  int fd() const { return fd_; }

 private:
  int fd_;
  Descriptor owner_;  // null where the table holds the descriptor
};

class InodeTable {
 public:
  InodeTable(Survival& survival, const std::string& prefix, MountNumber mount, DescriptorCache& cache, Coherence& coherence);
  ~InodeTable();

  // A new table whose nodeid 1 is `root`.
  Result<> create(UniqueFd root);
  // The table as a dead daemon left it.
  Result<> adopt(const std::set<std::string>& regions);
  // Frees what outlives the daemon: the mount is gone.
  void remove();

  // The kernel now holds one more reference to the inode behind `fd`, returned by forget(). Call before replying. The
  // attributes are read again where the mount gets to know the inode now: until then nobody told it of changes.
  Answer<Ino> retain(UniqueFd fd, struct stat& attributes);
  // The same for a file that stays open elsewhere.
  Answer<Ino> retain_open(int fd, struct stat& attributes);
  // The same for an inode that is certainly the one known by these attributes; 0 where that is not certain.
  Ino retain_known(const struct stat& attributes);
  void forget(Ino ino, std::uint64_t lookups);

  // ESTALE for what was forgotten, never known, or is gone from the disk.
  Answer<Reach> reach(Ino ino);
  // Null for what is not known. Valid while the kernel holds its reference.
  InodeRecord* record(Ino ino) const;
  // The nodeid of the inode with these attributes, if the kernel knows it; 0 else.
  Ino find(const struct stat& attributes) const;
  // Keeps `fd` with the record: the last name of the inode goes away, and its handle with it.
  void pin(Ino ino, UniqueFd fd);

  // What all mounts together know of it; null for what is not known. Valid as record() is.
  Node* node(Ino ino) const;
  MountNumber mount() const { return mount_; }
  // All that the kernel knows, the root among them.
  std::vector<Ino> known() const;
  std::uint64_t size() const;

 private:
  struct FileHandle {
    int type = 0;
    std::uint32_t size = 0;
    std::array<std::byte, 40> bytes{};
  };
  static InodeKey key_of(const struct stat& attributes) { return {attributes.st_dev, attributes.st_ino}; }
  static Ino ino_of(std::uint32_t slot, const InodeRecord& record);
  bool describe(int fd, const struct stat& attributes, FileHandle& handle) const;
  static bool same(const InodeRecord& record, const FileHandle& handle);
  Result<> open_mount_point();
  Result<> grow();
  InodeRecord* free_slot(std::uint32_t& slot);
  Answer<Ino> retain_described(int fd, const FileHandle* handle, struct stat& attributes);
  void hold(InodeRecord& record, UniqueFd fd);
  void unknow_all();
  void release_slot(std::uint32_t slot, InodeRecord& record);

  Survival& survival_;
  const MountNumber mount_;
  DescriptorCache& cache_;
  Coherence& coherence_;
  UniqueFd mount_point_;      // open_by_handle_at wants one that is not O_PATH
  std::uint64_t device_ = 0;  // of the root: handles of others need another mount point
  bool handles_work_ = false;

  mutable std::mutex mutex_;
  SlotTable<InodeRecord> slots_;
  LocalSlots<Node*> nodes_;
  std::unordered_map<InodeKey, std::uint32_t, InodeKeyHash> index_;  // to the newest record, where numbers were used again
  std::vector<std::uint32_t> free_;
  std::uint64_t used_ = 0;
};

}  // namespace berth::fuse

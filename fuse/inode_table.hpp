// InodeTable: what one mount's kernel knows: nodeids that stay the same over restarts, and the way from each to its inode.
//
// An inode is remembered as a file handle and opened by it when needed; where handles do not work (overlayfs, FUSE, no
// CAP_DAC_READ_SEARCH, another file system mounted inside) its O_PATH descriptor is held instead. Thread-safe.
// Locks: mutex_, then Coherence's. Neither is held over a system call that may touch the disk.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "broker/base/survival.hpp"
#include "broker/base/unique_fd.hpp"
#include "fuse/answer.hpp"
#include "fuse/brief_mutex.hpp"
#include "fuse/coherence.hpp"
#include "fuse/descriptor_cache.hpp"
#include "fuse/file_handle.hpp"
#include "fuse/idle_blocks.hpp"
#include "fuse/layout.hpp"
#include "fuse/slot_table.hpp"

namespace berth::fuse {

class BackingWatch;

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
  // `watch`: null where nobody hears of changes past the share. `counting`: in the mount's memory; with `records`, the
  // journal's, makes counts exact over a crash.
  InodeTable(Survival& survival, const std::string& prefix, MountNumber mount, DescriptorCache& cache, Coherence& coherence,
             BackingWatch* watch = nullptr, CountIntent* counting = nullptr, std::span<JournalRecord> records = {},
             std::atomic<std::uint32_t>* generation_floor = nullptr);
  ~InodeTable();

  // No descriptor of a file stays open longer than a request needs it, however its file system is.
  void hold_no_files() { holds_no_files_ = true; }
  // Whether a descriptor of something of this type may be open while its name is taken away.
  bool may_hold(mode_t mode) const { return !holds_no_files_ || S_ISDIR(mode); }

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
  // The same for what `name` below `directory` stands for, which is not opened. 0 where that can't be done with certainty: where
  // its handle does not tell its number, or it has become another since the attributes were read.
  Ino retain_named(int directory, const char* name, struct stat& attributes);
  // The same for an inode that is certainly the one known by these attributes; 0 where that is not certain.
  Ino retain_known(const struct stat& attributes);
  // Where this thread's request is a FORGET, it is noted how far it has come.
  void forget(Ino ino, std::uint64_t lookups);
  // Takes back this thread's last retain(): the kernel won't hear of it.
  void unretain(Ino ino);

  // ESTALE for what was forgotten, never known, or is gone from the disk.
  Answer<Reach> reach(Ino ino);
  // Null for what is not known. Valid while the kernel holds its reference.
  InodeRecord* record(Ino ino) const;
  // InodeRecord::answered; 0 where the kernel does not know the inode any more. For who serves no request on it.
  std::uint32_t answered(Ino ino) const;
  // The nodeid of the inode with these attributes, if the kernel knows it; 0 else.
  Ino find(const struct stat& attributes) const;
  // Where all inodes hold descriptors: the one that the kernel got to know last holds one of the last. It had better not get to
  // know many at once.
  bool descriptors_scarce() const { return scarce_.load(std::memory_order_relaxed); }
  // A file was opened: DescriptorCache::opened.
  void opened(int fd) { cache_.opened(fd); }
  // Keeps `fd` with the record: the last name of the inode goes away, and its handle with it.
  void pin(Ino ino, UniqueFd fd);

  // Calls f(ino, record) for every known inode.
  template <class F>
  void each(F&& f) {
    const std::scoped_lock lock(mutex_);
    for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) {
      if (InodeRecord& record = *slots_.at(slot); record.lookups != 0) f(ino_of(slot, record), record);
    }
  }

  // Has the directory's changes reported from now on, where they can be. True where that begins with this call: what was read
  // before may be old.
  bool watch(Ino directory);
  // Nobody writes the file, open as `file`, through the share any more.
  void heed(Node& node, int file);

  // What all mounts together know of it; null for what is not known. Valid as record() is.
  Node* node(Ino ino) const;
  MountNumber mount() const { return mount_; }
  // All that the kernel knows, the root among them.
  std::vector<Ino> known() const;
  std::uint64_t size() const;

 private:
  static InodeKey key_of(const struct stat& attributes) { return {attributes.st_dev, attributes.st_ino}; }
  static Ino ino_of(std::uint32_t slot, const InodeRecord& record);
  bool describe(int fd, const struct stat& attributes, FileHandle& handle) const;
  static bool same(const InodeRecord& record, const FileHandle& handle);
  Result<> open_mount_point();
  Result<> grow();
  InodeRecord* free_slot(std::uint32_t& slot);
  void give_back(std::uint32_t slot);
  bool forget_one(Ino ino, std::uint64_t lookups);
  Answer<Ino> retain_described(int fd, const FileHandle* handle, struct stat& attributes);
  Answer<Ino> count_described(int fd, const FileHandle* handle, const struct stat& attributes, bool& fresh);
  void hold(InodeRecord& record, UniqueFd fd);
  // Has the kernel forget some files that nobody has open, where each holds a descriptor and there are few left.
  void thin();
  std::vector<Ino> some_held(std::size_t count);
  UniqueFd own_descriptor(Ino ino) const;
  void unknow_all();
  void unknow(std::uint32_t slot, const InodeRecord& record);
  // Descriptors of an inode that was forgotten. With the last one of what was removed its file system frees it, which takes a
  // while: they are closed under no lock.
  struct Closing {
    Descriptor cached;
    UniqueFd held;
  };
  Closing release_slot(std::uint32_t slot, InodeRecord& record);
  void begin_count(Ino ino, std::uint64_t lookups);
  void end_count();
  void retained(Ino ino);
  void undo_count();
  bool opens(const InodeRecord& record) const;
  void drop_lost(InodeRecord& record);

  Survival& survival_;
  const MountNumber mount_;
  DescriptorCache& cache_;
  Coherence& coherence_;
  BackingWatch* const watch_;
  CountIntent* const counting_;
  const std::span<JournalRecord> records_;
  std::atomic<std::uint32_t> own_generation_floor_ = 0;  // where there is none that outlives the daemon
  std::atomic<std::uint32_t>& generation_floor_;
  UniqueFd mount_point_;      // open_by_handle_at wants one that is not O_PATH
  std::uint64_t device_ = 0;  // of the root: handles of others need another mount point
  bool handles_work_ = false;
  bool keeps_numbers_ = true;  // BackingKind
  bool holds_no_files_ = false;

  mutable BriefMutex mutex_;
  SlotTable<InodeRecord> slots_;
  LocalSlots<Node*> nodes_;
  std::unordered_map<InodeKey, std::uint32_t, InodeKeyHash> index_;  // to the newest record, where numbers were used again
  std::vector<std::uint32_t> free_;
  std::uint64_t used_ = 0;
  std::uint32_t thin_at_ = 0;  // a slot
  std::atomic<bool> scarce_ = false;
  IdleBlocks blocks_;
  std::uint32_t freed_ = 0;  // since the heap's memory was given back
};

}  // namespace berth::fuse

// LockTable: which ranges of which files are locked by whom, over all mounts, and who waits for whom.
//
// The locks themselves lie on backing descriptors; the backing file system decides. This is what it can't say: which process
// stands in the way, through which open file a lock was made, whether waiting would never end, and how many locks there are.
// Thread-safe. Lock order: waits, then an inode's Access (held over fcntl(2), which never waits here).
#pragma once

#include <fcntl.h>
#include <sys/types.h>

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "fuse/answer.hpp"
#include "fuse/inode_key.hpp"
#include "fuse/open_files.hpp"

namespace berth::fuse {

// EFS's limits on locks (Amazon EFS quotas).
inline constexpr std::size_t kFileLocksMax = 512;
inline constexpr std::size_t kMountLocksMax = 65'536;

// A process's open files, or one open file description, by its mount's kernel's name for it.
struct LockOwner {
  MountNumber mount = 0;
  std::uint64_t number = 0;
  pid_t pid = 0;
  // A process that uses two mounts has two numbers.
  bool same_as(const LockOwner& other) const {
    return mount == other.mount ? number == other.number : pid != 0 && pid == other.pid;
  }
};

struct LockRange {
  off_t first = 0;
  off_t last = 0;
  bool writes = false;
  Handle file = 0;  // through which it was made
};

class LockTable {
 public:
  struct Holder {
    LockOwner owner;
    std::vector<LockRange> ranges;  // in order, none overlaps
  };

  // One inode's locks, kept from all others while it lives.
  class Access {
   public:
    Access(LockTable& table, const InodeKey& key);
    ~Access();
    Access(const Access&) = delete;
    Access& operator=(const Access&) = delete;

    // ENOLCK where the file would have too many locks, EDQUOT where the mount would: so EFS's clients are told.
    Answer<> admit(const LockOwner& owner, const struct flock& lock) const;
    // The owner has got it, or let it go.
    void set(const LockOwner& owner, Handle file, const struct flock& lock);
    void drop(const LockOwner& owner);
    // The ranges that owners of this mount made through the open file.
    std::vector<Holder> made_through(MountNumber mount, Handle file) const;
    bool holds_any(const LockOwner& owner) const;
    // The process that has the lock which F_GETLK found; 0 where it is not one of ours.
    pid_t process_of(const LockOwner& asking, const struct flock& found) const;
    std::vector<LockOwner> in_the_way(const LockOwner& owner, const struct flock& wanted) const;

   private:
    Holder* holder(const LockOwner& owner) const;
    void count(MountNumber mount, std::size_t before, std::size_t after) const;

    LockTable& table_;
    const InodeKey key_;
    std::unique_lock<std::mutex> lock_;
    std::vector<Holder>& holders_;
  };

  void drop_mount(MountNumber mount);

  // For a blocking request. EDEADLK where everybody would wait for ever; else what to give to the other two.
  using Wait = std::uint64_t;
  Answer<Wait> begin_waiting(const InodeKey& key, const LockOwner& owner, const struct flock& wanted);
  // Again, when the lock could not be had.
  bool waits_in_vain(Wait wait);
  void end_waiting(Wait wait);

 private:
  struct Shard {
    std::mutex mutex;
    std::unordered_map<InodeKey, std::vector<Holder>, InodeKeyHash> files;
  };
  struct Waiting {
    InodeKey key;
    LockOwner owner;
    struct flock wanted;
  };
  Shard& shard(const InodeKey& key) { return shards_[InodeKeyHash{}(key) % shards_.size()]; }
  bool goes_round(const Waiting& from);

  std::array<Shard, 32> shards_;
  std::mutex waits_mutex_;
  std::map<Wait, Waiting> waits_;
  Wait next_wait_ = 1;
  mutable std::mutex counts_mutex_;
  std::map<MountNumber, std::size_t> counts_;
};

// The locks that lie on this descriptor of the process, as /proc says.
std::vector<struct flock> locks_on(int fd);

}  // namespace berth::fuse

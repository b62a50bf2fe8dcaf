// Coherence: which mounts' kernels know which inode, and what they must forget when another mount changes it.
//
// Every kernel caches names and attributes for long. Whoever changes something tells Coherence after the change and before the
// answer; when that returns, no other mount serves what was. What a request has read before another's change and answers
// after it is kept out of the caches: names by the directory's version, attributes by the kernel's own versions. A file that
// is open for writing changes without a word (passthrough), so other mounts do not cache its attributes at all. Changes past
// the share come from BackingWatch: all kernels are told of those.
//
// Nodes are in shards, each with a lock; none is held while a kernel is told. Lock order: inode table, then shard, then mounts.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <boost/container/small_vector.hpp>

#include "fuse/brief_mutex.hpp"
#include "fuse/inode_key.hpp"
#include "fuse/kernel_cache.hpp"
#include "fuse/name_epochs.hpp"
#include "fuse/notifier.hpp"
#include "fuse/stamp.hpp"
#include "fuse/trust.hpp"

namespace berth::fuse {

// One mount's kernel that holds references to an inode.
struct Knower {
  Ino ino = 0;
  // Of a directory: which names the kernel may remember as missing, a bit for each hash.
  std::uint64_t missing = 0;
  MountNumber mount = 0;
  std::uint32_t writers = 0;  // open files of this mount that may write
  std::uint32_t readers = 0;  // and others
  // Of a directory: the epoch in which the kernel was last told of a name in it, missing ones too.
  NameEpochs::Epoch told_in = 0;
};

// One inode as all mounts together know it; lives as long as one of them does.
class Node {
 public:
  // Of a directory that several mounts know: rises when a name in it has changed.
  std::uint32_t names_version() const { return names_version_.load(std::memory_order_acquire); }

  // Of a directory: whether changes past the share of it and of what has a name in it are reported.
  bool watched() const { return watched_.load(std::memory_order_acquire); }
  void set_watched() { watched_.store(true, std::memory_order_release); }
  // Of anything else: whether it was found by a name in such a directory.
  bool in_view() const { return in_view_.load(std::memory_order_acquire); }
  void set_in_view(bool in_view) { in_view_.store(in_view, std::memory_order_release); }
  // And whether nobody listens to what is written to it.
  bool unheard() const { return unheard_.load(std::memory_order_acquire); }
  void set_unheard(bool unheard) { unheard_.store(unheard, std::memory_order_release); }

  // Of a file: whether any mount has it open.
  bool open() const { return opens_.load(std::memory_order_relaxed) != 0; }

  // Of a directory: what Coherence::moves() was when it was found not to lie deep.
  std::uint32_t not_deep() const { return not_deep_.load(std::memory_order_relaxed); }
  void set_not_deep(std::uint32_t moves) { not_deep_.store(moves, std::memory_order_relaxed); }

 private:
  friend class Coherence;
  InodeKey key_;
  std::atomic<Stamp> stamp_ = 0;  // of the attributes that kernels may have; 0: perhaps of none, perhaps of others
  std::atomic<std::uint32_t> names_version_ = 0;
  std::atomic<std::uint32_t> opens_ = 0;  // of all mounts
  std::atomic<std::uint32_t> not_deep_ = 0;
  std::atomic<bool> watched_ = false;
  std::atomic<bool> in_view_ = false;
  std::atomic<bool> unheard_ = false;
  boost::container::small_vector<Knower, 1> knowers_;
};

class Coherence {
 public:
  explicit Coherence(Notifier& notifier) : notifier_(notifier) {}

  void join(MountNumber mount, std::shared_ptr<KernelCache> cache);
  void leave(MountNumber mount);

  // Before replying what makes the mount's kernel know `ino`. The node stays valid until unknow().
  Node& know(const InodeKey& key, MountNumber mount, Ino ino);
  // True where it was the last mount that knew a watched node, which is no more.
  bool unknow(Node& node, MountNumber mount, Ino ino);

  // A name below `directory` now stands for something else. `was`: what it stood for, nothing where it was free;
  // `seen`: the directory's version before `was` was found out (where they differ, `was` may be another's).
  void name_changed(Node& directory, std::string_view name, const std::optional<InodeKey>& was, std::uint32_t seen,
                    MountNumber by);
  // The same where what it stood for is not known.
  void name_changed(Node& directory, std::string_view name, MountNumber by);
  // The same for two names at once, which may lie in one directory: others wait once.
  void names_changed(Node& directory, std::string_view name, Node& other_directory, std::string_view other_name, MountNumber by);
  // Nothing has changed, but the mount's kernel is to forget those of the inodes that nothing uses. False where it can't, but can
  // be told names (forget_soon).
  bool prune(MountNumber mount, std::span<const Ino> inodes);
  // It is to forget the name some time soon, and what it stands for if nothing uses it.
  void forget_soon(MountNumber mount, Ino directory, std::string name);
  void attributes_changed(Node& node, MountNumber by);
  // Bytes of a file, to its end where `length` is 0, were changed through the daemon: pages of it that other mounts' kernels have
  // are dropped where it is open (an open drops them itself).
  void data_changed(const Node& node, MountNumber by, off_t offset, off_t length);
  void attributes_changed(const InodeKey& key, MountNumber by);
  // Rises when a directory is moved into another: all that lies below it may be as deep as it was not. Never 0.
  std::uint32_t moves() const { return moves_.load(std::memory_order_acquire); }
  void directory_moves() { moves_.fetch_add(2, std::memory_order_release); }
  // Who may search this directory has changed.
  void access_changed(const Node& directory, MountNumber by);

  // For each open file. `changes_attributes`: writing, or reading where that changes the access time.
  void opened(Node& node, MountNumber by, Ino ino, bool writes, bool changes_attributes);
  // True where nobody writes a file any more to which nobody listened meanwhile.
  bool closed(Node& node, MountNumber by, Ino ino, bool writes);
  struct Opens {
    bool written_here = false;  // by this mount
    bool read_elsewhere = false;
    bool written_elsewhere = false;
  };
  Opens opens(const Node& node, MountNumber mount) const;

  // The mount's kernel is about to get these attributes. Where they are not those that others have, it changed past the share,
  // and they are told.
  void hand_out(Node& node, MountNumber mount, const struct stat& attributes);

  // Past the share. Of what no kernel knows nobody is told.
  void name_changed_past(const InodeKey& directory, std::string_view name);
  // `now`: of its attributes. Nobody is told where they are what the kernels have.
  void attributes_changed_past(const InodeKey& key, Stamp now);
  void access_changed_past(const InodeKey& directory);
  // Its name went from a watched directory, perhaps to one that is not.
  void left_view(const InodeKey& key);
  // True where the file is open for writing through the share and is unheard from now on.
  bool stop_hearing(const InodeKey& key);

  // The mount's kernel is about to be told of a name in the directory: before the version is compared.
  void telling(Node& directory, MountNumber mount, const NameEpochs& epochs);
  // The same, and it may remember that the name is missing.
  void missing(Node& directory, std::string_view name, MountNumber mount, const NameEpochs& epochs);
  // It may remember any name so: nobody knows any more which.
  void all_missing(Node& directory, MountNumber mount);
  // It may be taking in a list of the directory, from before a name of it was looked up; and does so no more.
  void taking_in(Node& directory, MountNumber mount);
  void taken_in(Node& directory, MountNumber mount, const NameEpochs& epochs);

 private:
  struct Shard {
    mutable BriefMutex mutex;
    std::unordered_map<InodeKey, Node, InodeKeyHash> nodes;
  };
  using Knowers = boost::container::small_vector<Knower, 4>;

  static void tell(Knower& knower, const NameEpochs& epochs);
  Shard& shard(const InodeKey& key) const { return shards_[InodeKeyHash{}(key) % shards_.size()]; }
  std::shared_ptr<KernelCache> cache_of(MountNumber mount) const;
  Knowers others(const Node& node, MountNumber by) const;
  // Those but `by`; where there are any, the version rises.
  Knowers turn_version(Node& directory, MountNumber by, std::uint32_t& before);
  Knowers turn_version_locked(Node& directory, MountNumber by, std::uint32_t& before);
  Knowers all_knowers(const InodeKey& key) const;
  void drop(const Knowers& knowers, std::string_view name, const Knowers* was);
  struct Left {  // what could not be dropped at once
    std::vector<CachedName> names;
    std::vector<CachedInode> inodes;
  };
  void collect(const Knowers& knowers, std::string_view name, const Knowers* was, Left& left) const;
  void drop(Left left);
  void drop_attributes(const Knowers& knowers);

  Notifier& notifier_;
  std::atomic<std::uint32_t> moves_ = 1;
  mutable std::array<Shard, 32> shards_;
  mutable std::shared_mutex caches_mutex_;
  std::unordered_map<MountNumber, std::shared_ptr<KernelCache>> caches_;
};

}  // namespace berth::fuse

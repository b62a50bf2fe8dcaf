// RunningPrograms: which files run as programs, through which mounts.
//
// A kernel keeps writers from what runs through its own mount; this keeps out those of other mounts. Thread-safe.
#pragma once

#include <atomic>
#include <mutex>
#include <unordered_map>

#include "fuse/inode_key.hpp"

namespace berth::fuse {

class RunningPrograms {
 public:
  // One for each time that it is opened to be run.
  void start(const InodeKey& key, MountNumber mount);
  void end(const InodeKey& key, MountNumber mount);
  void drop_mount(MountNumber mount);
  bool run_elsewhere(const InodeKey& key, MountNumber mount) const;

 private:
  std::atomic<std::size_t> running_ = 0;  // spares the lock where nothing runs
  mutable std::mutex mutex_;
  std::unordered_multimap<InodeKey, MountNumber, InodeKeyHash> mounts_;
};

}  // namespace berth::fuse

#include "fuse/running_programs.hpp"

#include <algorithm>

namespace berth::fuse {

void RunningPrograms::start(const InodeKey& key, MountNumber mount) {
  const std::scoped_lock lock(mutex_);
  mounts_.emplace(key, mount);
  running_ = mounts_.size();
}

void RunningPrograms::end(const InodeKey& key, MountNumber mount) {
  const std::scoped_lock lock(mutex_);
  const auto [begin, end] = mounts_.equal_range(key);
  const auto found = std::find_if(begin, end, [mount](const auto& entry) { return entry.second == mount; });
  if (found != end) mounts_.erase(found);
  running_ = mounts_.size();
}

void RunningPrograms::drop_mount(MountNumber mount) {
  const std::scoped_lock lock(mutex_);
  std::erase_if(mounts_, [mount](const auto& entry) { return entry.second == mount; });
  running_ = mounts_.size();
}

bool RunningPrograms::run_elsewhere(const InodeKey& key, MountNumber mount) const {
  if (running_ == 0) return false;
  const std::scoped_lock lock(mutex_);
  const auto [begin, end] = mounts_.equal_range(key);
  return std::any_of(begin, end, [mount](const auto& entry) { return entry.second != mount; });
}

}  // namespace berth::fuse

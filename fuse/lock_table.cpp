#include "fuse/lock_table.hpp"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <set>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "broker/base/unique_fd.hpp"

namespace berth::fuse {
namespace {

constexpr off_t kEnd = std::numeric_limits<off_t>::max();

LockRange range_of(const struct flock& lock, Handle file = 0) {
  return {lock.l_start, lock.l_len == 0 ? kEnd : lock.l_start + lock.l_len - 1, lock.l_type == F_WRLCK, file};
}

bool overlap(const LockRange& a, const LockRange& b) { return a.first <= b.last && b.first <= a.last; }

bool continues(const LockRange& a, const LockRange& b) {
  return a.writes == b.writes && a.file == b.file && a.last != kEnd && a.last + 1 == b.first;
}

// An owner's ranges after this lock or unlock: of POSIX locks the last word holds.
void change(std::vector<LockRange>& ranges, const struct flock& lock, Handle file) {
  const LockRange wanted = range_of(lock, file);
  auto begin = std::ranges::lower_bound(ranges, wanted.first, {}, &LockRange::last);
  auto end = std::find_if(begin, ranges.end(), [&](const LockRange& range) { return !overlap(range, wanted); });
  std::vector<LockRange> middle;
  if (begin != end && begin->first < wanted.first) middle.push_back({begin->first, wanted.first - 1, begin->writes, begin->file});
  if (lock.l_type != F_UNLCK) middle.push_back(wanted);
  if (begin != end) {
    const LockRange& over = *std::prev(end);
    if (over.last > wanted.last) middle.push_back({wanted.last + 1, over.last, over.writes, over.file});
  }
  if (begin != ranges.begin()) middle.insert(middle.begin(), *--begin);
  if (end != ranges.end()) middle.push_back(*end++);
  std::vector<LockRange> merged;
  for (const LockRange& range : middle) {
    if (!merged.empty() && continues(merged.back(), range)) {
      merged.back().last = range.last;
    } else {
      merged.push_back(range);
    }
  }
  ranges.insert(ranges.erase(begin, end), merged.begin(), merged.end());
}

bool stands_in_the_way(const LockTable::Holder& holder, const LockRange& wanted) {
  return std::ranges::any_of(holder.ranges,
                             [&](const LockRange& range) { return overlap(range, wanted) && (range.writes || wanted.writes); });
}

}  // namespace

LockTable::Access::Access(LockTable& table, const InodeKey& key)
    : table_(table), key_(key), lock_(table.shard(key).mutex), holders_(table.shard(key).files[key]) {}

LockTable::Access::~Access() {
  std::erase_if(holders_, [](const Holder& holder) { return holder.ranges.empty(); });
  if (holders_.empty()) table_.shard(key_).files.erase(key_);
}

LockTable::Holder* LockTable::Access::holder(const LockOwner& owner) const {
  const auto found = std::ranges::find_if(
      holders_, [&](const Holder& holder) { return holder.owner.mount == owner.mount && holder.owner.number == owner.number; });
  return found == holders_.end() ? nullptr : &*found;
}

void LockTable::Access::count(MountNumber mount, std::size_t before, std::size_t after) const {
  const std::scoped_lock lock(table_.counts_mutex_);
  std::size_t& total = table_.counts_[mount];
  total = total + after - before;
}

Answer<> LockTable::Access::admit(const LockOwner& owner, const struct flock& lock) const {
  if (lock.l_type == F_UNLCK) return {};
  std::size_t of_file = 0;
  for (const Holder& holder : holders_) of_file += holder.ranges.size();
  std::size_t of_mount = 0;
  {
    const std::scoped_lock counting(table_.counts_mutex_);
    of_mount = table_.counts_[owner.mount];
  }
  constexpr std::size_t kGrowthMax = 2;  // a lock in the middle of another kind
  if (of_file + kGrowthMax <= kFileLocksMax && of_mount + kGrowthMax <= kMountLocksMax) return {};
  const Holder* known = holder(owner);
  const std::size_t before = known == nullptr ? 0 : known->ranges.size();
  std::vector<LockRange> ranges = known == nullptr ? std::vector<LockRange>{} : known->ranges;
  change(ranges, lock, ranges.empty() ? 0 : ranges.front().file);
  const std::size_t after = ranges.size();
  if (after <= before) return {};
  if (of_file - before + after > kFileLocksMax) return refuse(ENOLCK);
  if (of_mount - before + after > kMountLocksMax) return refuse(EDQUOT);
  return {};
}

void LockTable::Access::set(const LockOwner& owner, Handle file, const struct flock& lock) {
  Holder* known = holder(owner);
  if (known == nullptr) {
    if (lock.l_type == F_UNLCK) return;
    known = &holders_.emplace_back(Holder{owner, {}});
  }
  known->owner.pid = owner.pid;
  const std::size_t before = known->ranges.size();
  change(known->ranges, lock, file);
  count(owner.mount, before, known->ranges.size());
}

void LockTable::Access::drop(const LockOwner& owner) {
  Holder* known = holder(owner);
  if (known == nullptr) return;
  count(owner.mount, known->ranges.size(), 0);
  known->ranges.clear();
}

std::vector<LockTable::Holder> LockTable::Access::made_through(MountNumber mount, Handle file) const {
  std::vector<Holder> found;
  for (const Holder& holder : holders_) {
    if (holder.owner.mount != mount) continue;
    Holder part{holder.owner, {}};
    std::ranges::copy_if(holder.ranges, std::back_inserter(part.ranges), [&](const LockRange& r) { return r.file == file; });
    if (!part.ranges.empty()) found.push_back(std::move(part));
  }
  return found;
}

bool LockTable::Access::holds_any(const LockOwner& owner) const {
  const Holder* known = holder(owner);
  return known != nullptr && !known->ranges.empty();
}

std::vector<LockOwner> LockTable::Access::in_the_way(const LockOwner& owner, const struct flock& wanted) const {
  std::vector<LockOwner> owners;
  for (const Holder& holder : holders_) {
    if (holder.owner.mount == owner.mount && holder.owner.number == owner.number) continue;
    if (stands_in_the_way(holder, range_of(wanted))) owners.push_back(holder.owner);
  }
  return owners;
}

pid_t LockTable::Access::process_of(const LockOwner& asking, const struct flock& found) const {
  struct flock any = found;
  any.l_type = F_WRLCK;
  const auto owners = in_the_way(asking, any);
  return owners.empty() ? 0 : owners.front().pid;
}

void LockTable::drop_mount(MountNumber mount) {
  for (Shard& shard : shards_) {
    const std::scoped_lock lock(shard.mutex);
    for (auto& [key, holders] : shard.files) {
      std::erase_if(holders, [mount](const Holder& holder) { return holder.owner.mount == mount; });
    }
    std::erase_if(shard.files, [](const auto& file) { return file.second.empty(); });
  }
  const std::scoped_lock lock(counts_mutex_);
  counts_.erase(mount);
}

Answer<LockTable::Wait> LockTable::begin_waiting(const InodeKey& key, const LockOwner& owner, const struct flock& wanted) {
  const std::scoped_lock lock(waits_mutex_);
  const Waiting waiting{key, owner, wanted};
  if (goes_round(waiting)) return refuse(EDEADLK);
  waits_.emplace(next_wait_, waiting);
  return next_wait_++;
}

bool LockTable::waits_in_vain(Wait wait) {
  const std::scoped_lock lock(waits_mutex_);
  const auto found = waits_.find(wait);
  return found != waits_.end() && goes_round(found->second);
}

void LockTable::end_waiting(Wait wait) {
  const std::scoped_lock lock(waits_mutex_);
  waits_.erase(wait);
}

// Whether the way from `from` to whom it waits for, and for whom those wait, leads back to it.
bool LockTable::goes_round(const Waiting& from) {
  std::vector<Waiting> ways{from};
  std::set<Wait> seen;
  while (!ways.empty()) {
    const Waiting at = ways.back();
    ways.pop_back();
    const auto blockers = Access(*this, at.key).in_the_way(at.owner, at.wanted);
    for (const LockOwner& blocker : blockers) {
      // What a process has locked through another mount and closes now is no circle.
      const bool by_itself = at.owner.mount == from.owner.mount && at.owner.number == from.owner.number;
      if (!by_itself && blocker.same_as(from.owner)) return true;
      for (const auto& [wait, waiting] : waits_) {
        if (waiting.owner.same_as(blocker) && seen.insert(wait).second) ways.push_back(waiting);
      }
    }
  }
  return false;
}

// "lock:	1: OFDLCK ADVISORY  WRITE -1 08:02:12345 100 109", the last EOF where there is no end.
std::vector<struct flock> locks_on(int fd) {
  const UniqueFd file(open(fmt::format("/proc/self/fdinfo/{}", fd).c_str(), O_RDONLY | O_CLOEXEC));
  std::string text;
  std::array<char, 4096> buffer{};
  for (ssize_t size = 0; (size = read(file.get(), buffer.data(), buffer.size())) > 0;) {
    text.append(buffer.data(), static_cast<std::size_t>(size));
  }
  std::vector<struct flock> locks;
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (!line.starts_with("lock:") || line.find("OFDLCK") == std::string_view::npos) continue;
    const std::string_view last = line.substr(line.rfind(' ') + 1);
    const std::string_view before = line.substr(0, line.rfind(' '));
    const std::string_view first = before.substr(before.rfind(' ') + 1);
    struct flock lock{};
    off_t end = kEnd;
    std::from_chars(first.data(), first.data() + first.size(), lock.l_start);
    if (last != "EOF") std::from_chars(last.data(), last.data() + last.size(), end);
    lock.l_type = line.find("WRITE") == std::string_view::npos ? F_RDLCK : F_WRLCK;
    lock.l_len = end == kEnd ? 0 : end - lock.l_start + 1;
    locks.push_back(lock);
  }
  return locks;
}

}  // namespace berth::fuse

#include "broker/keeper/keeper_child_exits.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <utility>

#include "broker/base/check.hpp"

namespace berth::keeper {

namespace {

// True for a zombie too.
bool exists(pid_t pid) { return ::kill(pid, 0) == 0 || errno != ESRCH; }

}  // namespace

KeeperChildExits::~KeeperChildExits() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  if (!thread_.joinable()) return;
  wake();
  thread_.join();
}

void KeeperChildExits::watch(pid_t pid, Callback callback) {
  BERTH_CHECK(pid > 0);
  {
    const std::scoped_lock lock(mutex_);
    watches_.insert_or_assign(pid, std::move(callback));
    new_watches_.push_back(pid);
  }
  wake();
}

void KeeperChildExits::start() {
  BERTH_CHECK(!thread_.joinable());
  thread_ = std::thread([this] { run(); });
}

void KeeperChildExits::wake() const {
  const std::uint64_t one = 1;
  // Fails only where the counter is full: then it is readable anyway.
  [[maybe_unused]] const ssize_t written = ::write(signal_, &one, sizeof one);
}

void KeeperChildExits::wait_for_signal() const {
  pollfd descriptor{signal_, POLLIN, 0};
  ::poll(&descriptor, 1, -1);
  std::uint64_t ignored = 0;
  [[maybe_unused]] const ssize_t drained = ::read(signal_, &ignored, sizeof ignored);
}

void KeeperChildExits::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const std::vector<Ended> ended = collect();
    lock.unlock();
    for (const Ended& one : ended) one.callback(one.wait_status, one.at);
    wait_for_signal();
    lock.lock();
  }
}

std::vector<KeeperChildExits::Ended> KeeperChildExits::collect() {
  std::vector<Ended> ended;
  // First who is gone, then what the keeper wrote: it writes before it reaps, so one that is gone has its record by then.
  std::map<pid_t, bool> fresh;  // pid -> gone
  for (const pid_t pid : std::exchange(new_watches_, {})) fresh[pid] = !exists(pid);
  absorb(fresh, ended);
  for (const auto& [pid, gone] : fresh) check_new_watch(pid, gone, ended);
  return ended;
}

void KeeperChildExits::absorb(const std::map<pid_t, bool>& fresh, std::vector<Ended>& ended) {
  const std::uint64_t end = ring_.end();
  if (end > ExitRing::kSlots) next_ = std::max(next_, end - ExitRing::kSlots);
  for (; next_ < end; ++next_) {
    const auto record = ring_.read(next_);
    if (!record) continue;
    last_record_[record->pid] = next_;
    const auto watch = watches_.find(record->pid);
    // A new watch may be of a process that got the pid after this exit: check_new_watch() tells.
    if (watch == watches_.end() || fresh.contains(record->pid)) continue;
    ended.push_back({std::move(watch->second), record->wait_status, record->at});
    watches_.erase(watch);
  }
  std::erase_if(last_record_, [&](const auto& entry) { return entry.second + ExitRing::kSlots < end; });
}

void KeeperChildExits::check_new_watch(pid_t pid, bool gone, std::vector<Ended>& ended) {
  const auto watch = watches_.find(pid);
  if (watch == watches_.end()) return;
  const auto known = last_record_.find(pid);
  const auto record = known == last_record_.end() ? std::nullopt : ring_.read(known->second);
  // A reaped record of a pid that exists again is of an earlier process.
  if (record && (gone || !record->reaped || !exists(pid))) {
    ended.push_back({std::move(watch->second), record->wait_status, record->at});
  } else if (gone) {
    ended.push_back({std::move(watch->second), kUnknownWaitStatus, SystemClock{}.now()});
  } else {
    return;
  }
  watches_.erase(watch);
}

}  // namespace berth::keeper

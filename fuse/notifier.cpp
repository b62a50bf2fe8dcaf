#include "fuse/notifier.hpp"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "broker/base/outliving_threads.hpp"
#include "fuse/standby.hpp"

namespace berth::fuse {
namespace {

std::function<void()> drops(const CachedName& name) {
  return [name] { name.cache->drop_name(name.directory, name.name); };
}

}  // namespace

Notifier::~Notifier() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  work_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Notifier::drop(const std::vector<CachedName>& names) {
  if (names.empty()) return;
  const auto batch = std::make_shared<Batch>();
  std::unique_lock lock(mutex_);
  for (const CachedName& name : names) add(name.cache, drops(name), batch);
  call_another();
  const auto finished = [&] { return batch->pending == 0; };
  // Mostly it takes less time than to put another worker in one's place.
  if (batch->done.wait_for(lock, kBrief, finished)) return;
  Standby::about_to_wait();
  if (batch->done.wait_for(lock, patience_, finished)) return;
  const auto stuck = unfinished(batch);
  lock.unlock();
  const bool all_dropped = std::ranges::all_of(stuck, [](const auto& cache) { return cache->drop_all_names(); });
  if (all_dropped) return;
  lock.lock();
  batch->done.wait_for(lock, last_, finished);
}

void Notifier::drop_attributes(std::vector<CachedInode> inodes) {
  if (inodes.empty()) return;
  const auto begun = std::chrono::steady_clock::now();
  for (unsigned tries = 0; !inodes.empty(); ++tries) {
    if (tries == 1) Standby::about_to_wait();  // it may have forgotten them, and who is to read that may be this worker
    if (std::chrono::steady_clock::now() - begun > taking_in_) break;
    sched_yield();
    std::erase_if(inodes, [](const CachedInode& one) { return one.cache->drop_attributes(one.ino); });
  }
  if (inodes.empty()) return;
  const std::scoped_lock lock(mutex_);
  const auto nobody = std::make_shared<Batch>();
  for (const CachedInode& one : inodes) {
    const auto patiently = [one] {
      while (!one.cache->drop_attributes(one.ino)) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    };
    add(one.cache, patiently, nobody);
  }
  call_another();
}

void Notifier::drop_data(const std::vector<CachedData>& data) {
  if (data.empty()) return;
  const auto batch = std::make_shared<Batch>();
  std::unique_lock lock(mutex_);
  for (const CachedData& one : data) {
    if (one.cache->slow()) {
      drop_whole(one);
    } else {
      add(one.cache, [one] { one.cache->drop_data(one.ino, one.offset, one.length); }, batch);
    }
  }
  call_another();
  const auto finished = [&] { return batch->pending == 0; };
  if (batch->done.wait_for(lock, kBrief, finished)) return;
  Standby::about_to_wait();
  batch->done.wait_for(lock, last_, finished);
}

// Under the lock. Without waiting, so as one job however many come.
void Notifier::drop_whole(const CachedData& data) {
  if (!whole_files_.emplace(data.cache.get(), data.ino).second) return;
  const auto drop = [this, data] {
    {
      const std::scoped_lock lock(mutex_);
      whole_files_.erase({data.cache.get(), data.ino});  // what is written from now on is to be dropped again
    }
    data.cache->drop_data(data.ino, 0, 0);
  };
  add(data.cache, drop, std::make_shared<Batch>());
}

// Under the lock.
void Notifier::add(const std::shared_ptr<KernelCache>& cache, std::function<void()> drop, const std::shared_ptr<Batch>& batch) {
  ++batch->pending;
  jobs_.push_back({cache, std::move(drop), batch});
}

void Notifier::drop_soon(const CachedName& name) {
  const std::scoped_lock lock(mutex_);
  if (jobs_.size() >= kWaitingMax) return;
  add(name.cache, drops(name), std::make_shared<Batch>());
  call_another();
}

std::set<std::shared_ptr<KernelCache>> Notifier::unfinished(const std::shared_ptr<Batch>& batch) const {
  std::set<std::shared_ptr<KernelCache>> caches;
  for (const Job& job : jobs_) {
    if (job.batch == batch) caches.insert(job.cache);
  }
  for (const Job& job : running_) {
    if (job.batch == batch) caches.insert(job.cache);
  }
  return caches;
}

void Notifier::call_another() {
  if (idle_ == 0 && threads_.size() < kThreadsMax && !stopping_) threads_.emplace_back([this] { work(); });
  work_.notify_one();
}

// The oldest of a mount that is not being told something already: one that waits must not hold all threads.
std::deque<Notifier::Job>::iterator Notifier::next_job() {
  return std::ranges::find_if(jobs_, [&](const Job& job) {
    return std::ranges::none_of(running_, [&](const Job& other) { return other.cache == job.cache; });
  });
}

void Notifier::work() {
  may_outlive_its_process();
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);  // signals are the daemon's other threads' business
  std::unique_lock lock(mutex_);
  while (true) {
    auto next = next_job();
    if (next == jobs_.end()) {
      if (stopping_) return;
      ++idle_;
      work_.wait(lock);
      --idle_;
      continue;
    }
    const Job job = std::move(*next);
    jobs_.erase(next);
    running_.push_back(job);
    // Who has something to do wakes the next one. What waits for a mount that is being told is for whoever tells it.
    if (next_job() != jobs_.end()) call_another();
    lock.unlock();
    job.drop();
    lock.lock();
    std::erase_if(running_, [&](const Job& other) { return other.cache == job.cache; });
    if (--job.batch->pending == 0) job.batch->done.notify_all();
  }
}

}  // namespace berth::fuse

#include "fuse/notifier.hpp"

#include <pthread.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "broker/base/outliving_threads.hpp"
#include "fuse/standby.hpp"

namespace berth::fuse {

Notifier::~Notifier() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  work_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Notifier::drop(std::vector<CachedName> names) {
  if (names.empty()) return;
  const auto batch = std::make_shared<Batch>();
  batch->pending = names.size();
  std::unique_lock lock(mutex_);
  for (CachedName& name : names) jobs_.push_back({std::move(name), batch});
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

void Notifier::drop_soon(CachedName name) {
  const std::scoped_lock lock(mutex_);
  if (jobs_.size() >= kWaitingMax) return;
  const auto nobody = std::make_shared<Batch>();
  nobody->pending = 1;
  jobs_.push_back({std::move(name), nobody});
  call_another();
}

std::set<std::shared_ptr<KernelCache>> Notifier::unfinished(const std::shared_ptr<Batch>& batch) const {
  std::set<std::shared_ptr<KernelCache>> caches;
  for (const Job& job : jobs_) {
    if (job.batch == batch) caches.insert(job.what.cache);
  }
  for (const Job& job : running_) {
    if (job.batch == batch) caches.insert(job.what.cache);
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
    return std::ranges::none_of(running_, [&](const Job& other) { return other.what.cache == job.what.cache; });
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
    job.what.cache->drop_name(job.what.directory, job.what.name);
    lock.lock();
    std::erase_if(running_, [&](const Job& other) { return other.what.cache == job.what.cache; });
    if (--job.batch->pending == 0) job.batch->done.notify_all();
  }
}

}  // namespace berth::fuse

// Notifier: drops names and data from kernels' caches, each of which may have to wait for a lock in the kernel.
//
// A kernel's directory is locked while one of its requests is under way; that request may be waiting for another directory to
// be dropped, and so on round in a circle. So names are dropped by threads of their own, one at a time for a mount, and whoever
// waits for them waits only so long: then all names of that mount are dropped instead, which takes no lock. A page is locked
// while a request fills it. Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "fuse/kernel_cache.hpp"

namespace berth::fuse {

struct CachedName {
  std::shared_ptr<KernelCache> cache;
  Ino directory = 0;
  std::string name;
};

struct CachedInode {
  std::shared_ptr<KernelCache> cache;
  Ino ino = 0;
};

struct CachedData {
  std::shared_ptr<KernelCache> cache;
  Ino ino = 0;
  off_t offset = 0;
  off_t length = 0;
};

class Notifier {
 public:
  using Patience = std::chrono::milliseconds;
  // `patience`: how long a change waits for exact answers; `last`: where a kernel can't drop all of its names at once;
  // `taking_in`: for kernels that take inodes in.
  explicit Notifier(Patience patience = Patience{2}, Patience last = Patience{200}, Patience taking_in = Patience{20})
      : patience_(patience), last_(last), taking_in_(taking_in) {}
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;
  ~Notifier();

  // The names are no longer served when it returns.
  void drop(const std::vector<CachedName>& names);
  // The pages are no longer served when it returns, or when a thread comes to it where that takes long or the mount's requests
  // may be held back.
  void drop_data(const std::vector<CachedData>& data);
  // Drops the attributes of inodes that kernels are just taking in: some microseconds, unless who asked for one gets no
  // processor; then a thread goes on with it. To be called where they could not be dropped at once.
  void drop_attributes(std::vector<CachedInode> inodes);
  // Drops it when a thread comes to it; not at all where many wait for that already.
  void drop_soon(const CachedName& name);

 private:
  struct Batch {
    std::size_t pending = 0;
    std::condition_variable done;
  };
  struct Job {
    std::shared_ptr<KernelCache> cache;
    std::function<void()> drop;
    std::shared_ptr<Batch> batch;
  };
  static constexpr std::size_t kThreadsMax = 4;
  static constexpr std::size_t kWaitingMax = 256;
  static constexpr std::chrono::microseconds kBrief{100};

  void call_another();
  void work();
  void drop_whole(const CachedData& data);
  void add(const std::shared_ptr<KernelCache>& cache, std::function<void()> drop, const std::shared_ptr<Batch>& batch);
  std::deque<Job>::iterator next_job();
  std::set<std::shared_ptr<KernelCache>> unfinished(const std::shared_ptr<Batch>& batch) const;

  const Patience patience_;
  const Patience last_;
  const Patience taking_in_;
  std::mutex mutex_;
  std::condition_variable work_;
  std::deque<Job> jobs_;
  std::vector<Job> running_;                            // one a mount
  std::set<std::pair<KernelCache*, Ino>> whole_files_;  // whose pages are to be dropped, all of them
  std::size_t idle_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;  // started when first needed
};

}  // namespace berth::fuse

// WorkPool: a few threads for work that blocks (mounts, the OCI runtime), now or after a while. Strand: work of one task, one
// piece after the other, on any of the pool's threads. Both are thread-safe; no lock is held while work runs.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace berth::runtime {

class WorkPool {
 public:
  using Work = std::function<void()>;

  explicit WorkPool(unsigned threads);
  ~WorkPool() { stop(); }
  WorkPool(const WorkPool&) = delete;
  WorkPool& operator=(const WorkPool&) = delete;

  // False, and the work is dropped, once stop() was called.
  bool submit(Work work) { return after(std::chrono::milliseconds(0), std::move(work)); }
  bool after(std::chrono::milliseconds delay, Work work);
  // Lets running work end, drops the rest, joins.
  void stop();

 private:
  using Time = std::chrono::steady_clock::time_point;
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::multimap<Time, Work> queue_;  // equal times keep their order
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

class Strand : public std::enable_shared_from_this<Strand> {
 public:
  // Shares the pool: a late post() finds it stopped, not gone. The pool's owner stops it: the last strand may die on its thread.
  explicit Strand(std::shared_ptr<WorkPool> pool) : pool_(std::move(pool)) {}
  // Dropped once the pool has stopped.
  void post(WorkPool::Work work);

 private:
  class Turn;
  void schedule();
  void run_one();
  void clear();

  const std::shared_ptr<WorkPool> pool_;
  std::mutex mutex_;
  std::deque<WorkPool::Work> queue_;
  bool running_ = false;
};

}  // namespace berth::runtime

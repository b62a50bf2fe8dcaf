#include "broker/runtime/work.hpp"

#include <utility>

namespace berth::runtime {

WorkPool::WorkPool(unsigned threads) {
  for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
}

bool WorkPool::after(std::chrono::milliseconds delay, Work work) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return false;
  queue_.emplace(std::chrono::steady_clock::now() + delay, std::move(work));
  changed_.notify_one();
  return true;
}

void WorkPool::stop() {
  std::multimap<Time, Work> dropped;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    dropped.swap(queue_);
    changed_.notify_all();
  }
  for (std::thread& thread : threads_)
    if (thread.joinable()) thread.join();
}

void WorkPool::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (queue_.empty()) {
      changed_.wait(lock);
      continue;
    }
    const auto first = queue_.begin();
    if (const Time due = first->first; due > std::chrono::steady_clock::now()) {
      changed_.wait_until(lock, due);
      continue;
    }
    Work work = std::move(first->second);
    queue_.erase(first);
    // Another thread may be asleep until a later time: the next piece may be due too.
    if (!queue_.empty()) changed_.notify_one();
    lock.unlock();
    work();
    work = nullptr;  // what it holds dies outside the lock
    lock.lock();
  }
}

// One piece's turn in the pool. Dropped without having run it lets go of all that waits: work holds the strand's owner, which
// holds the strand.
class Strand::Turn {
 public:
  explicit Turn(std::shared_ptr<Strand> strand) : strand_(std::move(strand)) {}
  ~Turn() {
    if (!taken_) strand_->clear();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  void take() {
    taken_ = true;
    strand_->run_one();
  }

 private:
  const std::shared_ptr<Strand> strand_;
  bool taken_ = false;
};

void Strand::post(WorkPool::Work work) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(work));
    if (std::exchange(running_, true)) return;
  }
  schedule();
}

void Strand::schedule() {
  (void)pool_->submit([turn = std::make_shared<Turn>(shared_from_this())] { turn->take(); });
}

void Strand::clear() {
  std::deque<WorkPool::Work> dropped;  // dies outside the lock
  const std::lock_guard lock(mutex_);
  dropped.swap(queue_);
  running_ = false;
}

void Strand::run_one() {
  WorkPool::Work work;
  {
    const std::lock_guard lock(mutex_);
    work = std::move(queue_.front());
    queue_.pop_front();
  }
  work();
  work = nullptr;
  {
    const std::lock_guard lock(mutex_);
    running_ = !queue_.empty();
    if (!running_) return;
  }
  schedule();
}

}  // namespace berth::runtime

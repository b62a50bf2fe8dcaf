// Post: the one place at the event loop. Whoever has it looks for what comes; other workers wait until it is free.
//
// Several that wait in one epoll are woken by as many requests, all before the first has looked, which would have served them
// all. So one waits there; it hands the post on when it is going to be busy for longer. Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>

namespace berth::fuse {

class Post {
 public:
  enum class Taken { yes, no, closed };
  // Waits until it is free, but no longer than `patience`; without one for as long as it takes.
  Taken take(std::optional<std::chrono::milliseconds> patience = std::nullopt) {
    std::unique_lock lock(mutex_);
    const auto over = [&] { return !taken_ || closed_; };
    ++waiting_;
    const bool came = patience ? free_again_.wait_for(lock, *patience, over) : (free_again_.wait(lock, over), true);
    --waiting_;
    if (closed_) return Taken::closed;
    if (!came) return Taken::no;
    taken_ = true;
    return Taken::yes;
  }
  void leave() {
    std::unique_lock lock(mutex_);
    taken_ = false;
    const bool wanted = waiting_ != 0;
    lock.unlock();
    if (wanted) free_again_.notify_one();
  }
  // Whether somebody has it; without waiting.
  bool taken() const { return taken_; }
  // For good: nobody waits for it any more.
  void close() {
    const std::scoped_lock lock(mutex_);
    closed_ = true;
    free_again_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable free_again_;
  unsigned waiting_ = 0;
  std::atomic<bool> taken_ = false;
  bool closed_ = false;
};

}  // namespace berth::fuse

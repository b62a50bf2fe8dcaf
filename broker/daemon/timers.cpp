#include "broker/daemon/timers.hpp"

namespace berth::daemon {

Timers::Timers() : thread_([this] { run(); }) {}

Timers::~Timers() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Timers::after(std::chrono::milliseconds delay, std::function<void()> function) {
  {
    const std::scoped_lock lock(mutex_);
    agenda_.emplace(std::chrono::steady_clock::now() + delay, std::move(function));
  }
  changed_.notify_all();
}

void Timers::every(std::chrono::milliseconds period, std::function<void()> function) {
  after(period, [this, period, function = std::move(function)] {
    function();
    every(period, function);
  });
}

void Timers::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (agenda_.empty()) {
      changed_.wait(lock);
      continue;
    }
    const auto due = agenda_.begin()->first;
    if (std::chrono::steady_clock::now() < due) {
      changed_.wait_until(lock, due);
      continue;
    }
    const auto function = std::move(agenda_.extract(agenda_.begin()).mapped());
    lock.unlock();
    function();
    lock.lock();
  }
}

}  // namespace berth::daemon

// MemoryStore: a store on a map that tests can hold up or make fail.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "broker/store/store.hpp"

namespace berth::control {

class MemoryStore final : public store::Store {
 public:
  using Disk = std::map<std::pair<std::string, std::string>, std::string>;
  // `disk` outlives it; read it only while nothing is written.
  explicit MemoryStore(Disk& disk) : disk_(disk) {}

  // While held, batches pile up.
  void hold() { set(held_, true); }
  void release() { set(held_, false); }
  void fail_from_now_on() { set(failing_, true); }
  void recover() { set(failing_, false); }
  // Returns when someone waits for a batch that isn't on disk.
  void wait_for_waiter() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return waiters_ > 0; });
  }

  store::Ticket submit(store::Batch batch) override {
    const std::scoped_lock lock(mutex_);
    queue_.push_back(std::move(batch));
    ++submitted_;
    flush();
    return submitted_;
  }
  Result<> wait(store::Ticket ticket) override {
    std::unique_lock lock(mutex_);
    ++waiters_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return durable_ >= ticket || failing_; });
    --waiters_;
    if (durable_ >= ticket) return {};
    return fail(Code::unavailable, "can't store changes");
  }
  Result<> writable() const override {
    const std::scoped_lock lock(mutex_);
    if (failing_ && !queue_.empty()) return fail(Code::unavailable, "can't store changes");
    return {};
  }
  store::Ticket durable() const override {
    const std::scoped_lock lock(mutex_);
    return durable_;
  }
  Statistics statistics() const override { return {}; }
  Result<> load(const Visit& visit) override {
    for (const auto& [id, value] : disk_) {
      if (auto visited = visit(id.first, id.second, value); !visited) return visited;
    }
    return {};
  }

 private:
  void set(bool& flag, bool value) {
    const std::scoped_lock lock(mutex_);
    flag = value;
    flush();
  }
  void flush() {
    if (!held_ && !failing_) {
      for (const store::Batch& batch : std::exchange(queue_, {})) write(batch);
      durable_ = submitted_;
    }
    changed_.notify_all();
  }
  void write(const store::Batch& batch) {
    for (const store::RecordChange& change : batch) {
      if (change.value) {
        disk_[{change.kind, change.key}] = *change.value;
      } else {
        disk_.erase({change.kind, change.key});
      }
    }
  }

  Disk& disk_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<store::Batch> queue_;
  store::Ticket submitted_ = 0, durable_ = 0;
  int waiters_ = 0;
  bool held_ = false, failing_ = false;
};

}  // namespace berth::control

#include "fuse/turns.hpp"

#include <algorithm>
#include <functional>

namespace berth::fuse {
namespace {

std::uint64_t mix(std::uint64_t number) {
  constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15U;  // 2^64 by the golden ratio
  number = (number ^ number >> 32U) * kOdd;
  number = (number ^ number >> 29U) * kOdd;
  return number ^ number >> 32U;
}

}  // namespace

Turns::Key Turns::of_name(const InodeKey& directory, std::string_view name) {
  return mix(of_file(directory) + std::hash<std::string_view>{}(name));
}

Turns::Key Turns::of_file(const InodeKey& file) { return mix(mix(file.device) + file.number); }

Turns::Held Turns::take(Key one) {
  Held held;
  lock(one);
  held.turns_ = this;
  held.keys_[held.count_++] = one;
  return held;
}

Turns::Held Turns::take(Key one, Key other) {
  if (one == other) return take(one);
  // The same order everywhere: nobody waits in a circle.
  Held held = take(std::min(one, other));
  lock(std::max(one, other));
  held.keys_[held.count_++] = std::max(one, other);
  return held;
}

Turns::Held::~Held() {
  if (turns_ == nullptr) return;
  for (std::size_t i = 0; i < count_; ++i) turns_->unlock(keys_[i]);
}

void Turns::lock(Key key) {
  Shard& of = shard(key);
  std::unique_lock lock(of.mutex);
  const auto is_free = [&] { return std::ranges::find(of.held, key) == of.held.end(); };
  ++of.waiting;
  of.let_go.wait(lock, is_free);
  --of.waiting;
  of.held.push_back(key);
}

void Turns::unlock(Key key) {
  Shard& of = shard(key);
  std::unique_lock lock(of.mutex);
  of.held.erase(std::ranges::find(of.held, key));
  const bool wanted = of.waiting != 0;
  lock.unlock();
  if (wanted) of.let_go.notify_all();
}

}  // namespace berth::fuse

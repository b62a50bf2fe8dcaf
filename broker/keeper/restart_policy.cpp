#include "broker/keeper/restart_policy.hpp"

#include <algorithm>

namespace berth::keeper {

std::optional<std::chrono::milliseconds> RestartPolicy::died(TimePoint now) {
  deaths_.push_back(now);
  while (deaths_.front() + limits_.window < now) deaths_.pop_front();
  if (deaths_.size() >= limits_.deaths_max) return std::nullopt;
  std::chrono::milliseconds delay{0};
  for (std::size_t death = limits_.at_once; death < deaths_.size() && delay < limits_.delay_max; ++death) {
    delay = delay.count() == 0 ? limits_.delay : delay * 2;
  }
  return std::min(delay, limits_.delay_max);
}

}  // namespace berth::keeper

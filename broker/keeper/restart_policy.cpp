#include "broker/keeper/restart_policy.hpp"

#include <algorithm>

namespace berth::keeper {

std::size_t RestartPolicy::note(Times& times, TimePoint now) const {
  times.push_back(now);
  while (times.front() + limits_.window < now) times.pop_front();
  return times.size();
}

std::optional<std::chrono::milliseconds> RestartPolicy::died(TimePoint now, Death death) {
  if (death == Death::killed) return note(kills_, now) > limits_.deaths_max ? limits_.delay : std::chrono::milliseconds{0};
  const std::size_t deaths = note(deaths_, now);
  if (deaths >= limits_.deaths_max) return std::nullopt;
  std::chrono::milliseconds delay{0};
  for (std::size_t answered = limits_.at_once; answered < deaths && delay < limits_.delay_max; ++answered) {
    delay = delay.count() == 0 ? limits_.delay : delay * 2;
  }
  return std::min(delay, limits_.delay_max);
}

}  // namespace berth::keeper

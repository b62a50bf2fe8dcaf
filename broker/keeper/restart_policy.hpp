// RestartPolicy: when a daemon that died is started again: at once the first times, then ever later, and at last not at all.
#pragma once

#include <chrono>
#include <deque>
#include <optional>

namespace berth::keeper {

class RestartPolicy {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  struct Limits {
    // This many deaths within `window` are too many.
    unsigned deaths_max = 10;
    std::chrono::milliseconds window{10'000};
    // So many within the window are answered at once; each further one waits twice as long, from `delay` on.
    unsigned at_once = 3;
    std::chrono::milliseconds delay{50};
    std::chrono::milliseconds delay_max{2'000};
  };

  explicit RestartPolicy(Limits limits) : limits_(limits) {}
  // How long to wait before the next start; nullopt: give up.
  std::optional<std::chrono::milliseconds> died(TimePoint now);

 private:
  Limits limits_;
  std::deque<TimePoint> deaths_;  // within the window
};

}  // namespace berth::keeper

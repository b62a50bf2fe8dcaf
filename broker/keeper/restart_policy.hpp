// RestartPolicy: when a daemon that died is started again: at once the first times, then ever later, and at last not at all.
// One that was killed from outside (an administrator, the OOM killer) has done nothing wrong: it is never given up, for its
// mounts and all that runs on them would be lost, and it waits only so long that a storm of kills leaves the machine some time.
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

  enum class Death { by_itself, killed };

  explicit RestartPolicy(Limits limits) : limits_(limits) {}
  // How long to wait before the next start; nullopt: give up.
  std::optional<std::chrono::milliseconds> died(TimePoint now, Death death = Death::by_itself);

 private:
  using Times = std::deque<TimePoint>;  // of deaths within the window
  std::size_t note(Times& times, TimePoint now) const;

  Limits limits_;
  Times deaths_;
  Times kills_;
};

}  // namespace berth::keeper

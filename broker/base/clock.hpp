// Time comes in as an argument: a Clock is handed to the shell, a TimePoint to the core.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace berth {

// Wall-clock time, UTC.
using TimePoint = std::chrono::sys_time<std::chrono::microseconds>;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint now() const = 0;
};

class SystemClock final : public Clock {
 public:
  TimePoint now() const override;
};

// The wall clock of when it was made, moved on steadily: never back, whatever becomes of the wall clock. For waiting.
class SteadyClock final : public Clock {
 public:
  SteadyClock();
  TimePoint now() const override;

 private:
  const TimePoint wall_;
  const std::chrono::steady_clock::time_point steady_;
};

// For tests: stands still until it is moved. Not thread-safe.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(TimePoint start) : now_(start) {}
  TimePoint now() const override { return now_; }
  void advance(std::chrono::microseconds by) { now_ += by; }

 private:
  TimePoint now_;
};

// `2026-11-23T05:15:02Z` (RFC 3339, whole seconds).
std::string to_iso8601(TimePoint time);
// `20261123T051502Z`, the form of X-Amz-Date.
std::string to_amz_date(TimePoint time);
// Reads both forms above, with optional fraction and offset in the first.
std::optional<TimePoint> parse_time(std::string_view text);
// Seconds since 1970 with microseconds as the fraction.
double to_epoch_seconds(TimePoint time);

}  // namespace berth

// MetricStore: metrics of this machine's simulated services, a point a minute, kept for a day and no longer than the daemon.
//
// Thread-safe. What comes in knows its time; what is asked says which.
#pragma once

#include <chrono>
#include <compare>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "broker/base/clock.hpp"

namespace berth::services::cloudwatch {

// What was seen within one period: all that CloudWatch's plain statistics need.
struct StatisticSet {
  double count = 0, sum = 0, minimum = 0, maximum = 0;

  static StatisticSet of(double value) { return {1, value, value, value}; }
  void add(const StatisticSet& other);
  // Sum, Average, Minimum, Maximum, SampleCount; nullopt for other names.
  std::optional<double> value(const std::string& statistic) const;
};

struct Metric {
  std::string name_space, name;
  std::map<std::string, std::string> dimensions;
  auto operator<=>(const Metric&) const = default;
};

struct Point {
  TimePoint at{};  // the beginning of its period
  StatisticSet statistics;
};

// Points of one-minute periods summed up into periods of `period`, which begin at multiples of it; earliest first. `from` is
// in, `to` is not.
std::vector<Point> summarize(const std::deque<Point>& points, TimePoint from, TimePoint to, std::chrono::seconds period);

class MetricStore {
 public:
  static constexpr std::chrono::hours kKept{24};

  // Added to what the minute of `at` has already, or in its place: for what is counted once a minute, however often it is
  // looked at.
  enum class How { add, replace };
  void put(const Metric& metric, const std::string& unit, TimePoint at, const StatisticSet& statistics, How how = How::add);

  struct Series {
    std::string unit;
    std::deque<Point> points;
  };
  // Empty where there is none.
  Series find(const Metric& metric) const;
  // Those with a point at or after `since`, in order.
  std::vector<Metric> list(TimePoint since) const;
  // The latest value of each, for whoever wants no history.
  std::map<Metric, StatisticSet> latest() const;

 private:
  mutable std::mutex mutex_;
  std::map<Metric, Series> all_;
};

}  // namespace berth::services::cloudwatch

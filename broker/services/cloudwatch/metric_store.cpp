#include "broker/services/cloudwatch/metric_store.hpp"

#include <algorithm>

namespace berth::services::cloudwatch {

void StatisticSet::add(const StatisticSet& other) {
  if (other.count == 0) return;
  minimum = count == 0 ? other.minimum : std::min(minimum, other.minimum);
  maximum = count == 0 ? other.maximum : std::max(maximum, other.maximum);
  count += other.count;
  sum += other.sum;
}

std::optional<double> StatisticSet::value(const std::string& statistic) const {
  if (statistic == "Sum") return sum;
  if (statistic == "SampleCount") return count;
  if (statistic == "Minimum") return minimum;
  if (statistic == "Maximum") return maximum;
  if (statistic == "Average") return count == 0 ? 0 : sum / count;
  return std::nullopt;
}

std::vector<Point> summarize(const std::deque<Point>& points, TimePoint from, TimePoint to, std::chrono::seconds period) {
  std::vector<Point> sums;
  for (const Point& point : points) {
    if (point.at < from || point.at >= to) continue;
    const auto begin = TimePoint(point.at.time_since_epoch() / period * period);
    if (sums.empty() || sums.back().at != begin) sums.push_back({begin, {}});
    sums.back().statistics.add(point.statistics);
  }
  return sums;
}

void MetricStore::put(const Metric& metric, const std::string& unit, TimePoint at, const StatisticSet& statistics, How how) {
  if (statistics.count == 0) return;
  const auto minute = std::chrono::floor<std::chrono::minutes>(at);
  const std::scoped_lock lock(mutex_);
  Series& series = all_[metric];
  series.unit = unit;
  if (series.points.empty() || series.points.back().at < minute) series.points.push_back({minute, {}});
  if (how == How::replace) series.points.back().statistics = {};
  series.points.back().statistics.add(statistics);
  while (series.points.front().at < minute - kKept) series.points.pop_front();
  std::erase_if(all_, [minute](const auto& entry) { return entry.second.points.back().at < minute - kKept; });
}

MetricStore::Series MetricStore::find(const Metric& metric) const {
  const std::scoped_lock lock(mutex_);
  const auto found = all_.find(metric);
  return found == all_.end() ? Series{} : found->second;
}

std::vector<Metric> MetricStore::list(TimePoint since) const {
  const std::scoped_lock lock(mutex_);
  std::vector<Metric> metrics;
  for (const auto& [metric, series] : all_) {
    if (series.points.back().at >= since) metrics.push_back(metric);
  }
  return metrics;
}

std::map<Metric, StatisticSet> MetricStore::latest() const {
  const std::scoped_lock lock(mutex_);
  std::map<Metric, StatisticSet> values;
  for (const auto& [metric, series] : all_) values[metric] = series.points.back().statistics;
  return values;
}

}  // namespace berth::services::cloudwatch

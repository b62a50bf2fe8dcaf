#include "broker/services/cloudwatch/operations.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "broker/base/encoding.hpp"

namespace berth::services::cloudwatch {

using api::refuse;

namespace {

constexpr std::size_t kPageMax = 500;            // metrics of a ListMetrics answer
constexpr std::size_t kStatisticsMax = 1440;     // data points of a GetMetricStatistics answer
constexpr std::size_t kDataPointsMax = 100'800;  // of a GetMetricData answer
constexpr std::chrono::hours kRecent{3};         // ListMetrics' RecentlyActive PT3H
constexpr std::size_t kQueriesMax = 500;

Metric metric_of(const Json& input) {
  Metric metric{input.value("Namespace", ""), input.value("MetricName", ""), {}};
  for (const Json& dimension : input.value("Dimensions", Json::array())) {
    metric.dimensions[dimension.at("Name")] = dimension.at("Value");
  }
  return metric;
}

Json dimensions_of(const Metric& metric) {
  Json list = Json::array();
  for (const auto& [name, value] : metric.dimensions) list.push_back({{"Name", name}, {"Value", value}});
  return list;
}

TimePoint time_of(const Json& seconds) {
  return TimePoint(std::chrono::microseconds(static_cast<std::int64_t>(seconds.get<double>() * 1e6)));
}

struct Span {
  TimePoint from{}, to{};
  std::chrono::seconds period{60};
};

// Metrics are kept by the minute; CloudWatch takes 1, 5, 10, 20 and 30 s too, for metrics that have so fine a resolution.
Outcome<Span> read_span(const Json& input, std::int64_t period, const char* code) {
  Span span{time_of(input.at("StartTime")), time_of(input.at("EndTime")), std::chrono::seconds(period)};
  if (span.from >= span.to) return refuse(code, "The parameter StartTime must be less than the parameter EndTime.");
  if (period % 60 != 0 && period != 1 && period != 5 && period != 10 && period != 20 && period != 30)
    return refuse(code, "The parameter Period must be a multiple of 60, or one of 1, 5, 10, 20 and 30.");
  span.period = std::max(span.period, std::chrono::seconds(60));
  // As CloudWatch does, whole periods: the one that StartTime is in is the first.
  span.from = TimePoint(span.from.time_since_epoch() / span.period * span.period);
  return span;
}

Outcome<Json> read_query(const MetricStore& store, const Json& input, const Json& query) {
  const std::string id = query.at("Id");
  if (query.contains("Expression") || !query.contains("MetricStat"))
    return refuse("ValidationError", fmt::format("Berth computes no metric math: query `{}` needs a MetricStat", id));
  const Json& stat = query.at("MetricStat");
  const auto span = read_span(input, stat.at("Period").get<std::int64_t>(), "ValidationError");
  if (!span) return std::unexpected(span.error());
  const Metric metric = metric_of(stat.at("Metric"));
  const std::string statistic = stat.at("Stat");
  if (!StatisticSet{}.value(statistic))
    return refuse("ValidationError", fmt::format("The value `{}` of Stat is not one that Berth keeps: Average, Sum, Minimum, "
                                                 "Maximum or SampleCount",
                                                 statistic));
  const auto series = store.find(metric);
  Json times = Json::array(), values = Json::array();
  auto points = summarize(series.points, span->from, span->to, span->period);
  if (stat.contains("Unit") && stat.at("Unit") != series.unit) points.clear();
  if (input.value("ScanBy", "TimestampDescending") == "TimestampDescending") std::ranges::reverse(points);
  for (const Point& point : points) {
    times.push_back(to_epoch_seconds(point.at));
    values.push_back(*point.statistics.value(statistic));
  }
  return Json{{"Id", id},
              {"Label", query.value("Label", metric.name)},
              {"Timestamps", times},
              {"Values", values},
              {"StatusCode", "Complete"}};
}

// A token is where to go on, in base64.
Outcome<std::size_t> read_token(const Json& input) {
  if (!input.contains("NextToken")) return 0;
  const auto text = base64_decode(input.at("NextToken").get<std::string>());
  if (!text || text->empty() || text->size() > 9 || !std::ranges::all_of(*text, [](char c) { return c >= '0' && c <= '9'; }))
    return refuse("InvalidNextToken", "The token is not one that Berth gave out.");
  return std::stoul(*text);
}

bool matches(const Metric& metric, const Json& input) {
  if (input.contains("Namespace") && input.at("Namespace") != metric.name_space) return false;
  if (input.contains("MetricName") && input.at("MetricName") != metric.name) return false;
  for (const Json& filter : input.value("Dimensions", Json::array())) {
    const auto found = metric.dimensions.find(filter.at("Name"));
    if (found == metric.dimensions.end() || (filter.contains("Value") && filter.at("Value") != found->second)) return false;
  }
  return true;
}

}  // namespace

Outcome<Json> get_metric_data(const MetricStore& store, const CallContext&, const Json& input) {
  const Json& queries = input.at("MetricDataQueries");
  if (queries.size() > kQueriesMax) return refuse("ValidationError", "At most 500 MetricDataQueries can be asked at once.");
  const auto first = read_token(input);
  if (!first) return std::unexpected(first.error());
  const std::size_t most = std::min(input.value("MaxDatapoints", kDataPointsMax), kDataPointsMax);
  Json answer{{"MetricDataResults", Json::array()}, {"Messages", Json::array()}};
  std::size_t points = 0;
  for (std::size_t i = *first; i < queries.size(); ++i) {
    auto result = read_query(store, input, queries[i]);
    if (!result) return result;
    if (!queries[i].value("ReturnData", true)) continue;
    const std::size_t more = result->at("Values").size();
    // Whole queries only, so that no page begins in the middle of one.
    if (points > 0 && points + more > most) {
      answer["NextToken"] = base64_encode(std::to_string(i));
      break;
    }
    points += more;
    answer["MetricDataResults"].push_back(std::move(*result));
  }
  return answer;
}

Outcome<Json> get_metric_statistics(const MetricStore& store, const CallContext&, const Json& input) {
  if (input.contains("ExtendedStatistics"))
    return refuse("InvalidParameterValue", "Berth keeps no percentiles: ask for Statistics, not for ExtendedStatistics");
  if (!input.contains("Statistics"))
    return refuse("MissingParameter", "The request must contain the parameter Statistics or ExtendedStatistics.");
  const auto span = read_span(input, input.at("Period").get<std::int64_t>(), "InvalidParameterValue");
  if (!span) return std::unexpected(span.error());
  if (static_cast<std::size_t>((span->to - span->from) / span->period) > kStatisticsMax)
    return refuse("InvalidParameterCombination",
                  fmt::format("You have requested up to {} datapoints, which exceeds the limit of {}.",
                              (span->to - span->from) / span->period, kStatisticsMax));
  const auto series = store.find(metric_of(input));
  Json points = Json::array();
  if (!input.contains("Unit") || input.at("Unit") == series.unit) {
    for (const Point& point : summarize(series.points, span->from, span->to, span->period)) {
      Json json{{"Timestamp", to_epoch_seconds(point.at)}, {"Unit", series.unit}};
      for (const Json& statistic : input.at("Statistics"))
        json[statistic.get<std::string>()] = *point.statistics.value(statistic);
      points.push_back(std::move(json));
    }
  }
  return Json{{"Label", input.at("MetricName")}, {"Datapoints", points}};
}

Outcome<Json> list_metrics(const MetricStore& store, const CallContext& context, const Json& input) {
  const auto first = read_token(input);
  if (!first) return std::unexpected(first.error());
  const auto since = input.contains("RecentlyActive") ? context.now - kRecent : TimePoint{};
  Json metrics = Json::array();
  Json answer = Json::object();
  std::size_t at = 0;
  for (const Metric& metric : store.list(since)) {
    if (!matches(metric, input) || at++ < *first) continue;
    if (metrics.size() == kPageMax) {
      answer["NextToken"] = base64_encode(std::to_string(at - 1));
      break;
    }
    metrics.push_back({{"Namespace", metric.name_space}, {"MetricName", metric.name}, {"Dimensions", dimensions_of(metric)}});
  }
  answer["Metrics"] = std::move(metrics);
  return answer;
}

}  // namespace berth::services::cloudwatch

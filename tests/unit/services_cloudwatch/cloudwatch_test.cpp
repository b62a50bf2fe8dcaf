#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "broker/services/cloudwatch/service.hpp"

namespace berth::services::cloudwatch {
namespace {

using api::Json;
using namespace std::chrono_literals;

const TimePoint kNoon = *parse_time("2026-11-23T12:00:00Z");
const Metric kReads{"AWS/EFS", "DataReadIOBytes", {{"FileSystemId", "fs-1"}}};

class CloudWatch : public ::testing::Test {
 protected:
  CloudWatch() {
    for (int minute = 0; minute < 10; ++minute) {
      store.put(kReads, "Bytes", kNoon + std::chrono::minutes(minute) + 7s, {2, 100.0 * (minute + 1), 10, 90});
    }
  }
  api::Outcome<Json> call(const std::string& operation, const Json& input) {
    api::CallContext context;
    context.now = kNoon + 10min;
    for (const auto& row : service.operations) {
      if (row.name == operation) return row.handle(context, input);
    }
    return api::refuse("", "no such row");
  }
  static Json span(Json input, std::chrono::minutes from, std::chrono::minutes to) {
    input["StartTime"] = to_epoch_seconds(kNoon + from);
    input["EndTime"] = to_epoch_seconds(kNoon + to);
    return input;
  }
  static Json dimensions(const std::string& id = "fs-1") { return Json::array({{{"Name", "FileSystemId"}, {"Value", id}}}); }
  static Json query(const std::string& id, const std::string& stat, int period = 60) {
    return {{"Id", id},
            {"MetricStat",
             {{"Metric", {{"Namespace", "AWS/EFS"}, {"MetricName", "DataReadIOBytes"}, {"Dimensions", dimensions()}}},
              {"Period", period},
              {"Stat", stat}}}};
  }

  MetricStore store;
  api::Service service = make_cloudwatch(store);
};

TEST_F(CloudWatch, SumsMinutesUpIntoThePeriodsThatAreAskedFor) {
  const auto answer = call("GetMetricStatistics", span({{"Namespace", "AWS/EFS"},
                                                        {"MetricName", "DataReadIOBytes"},
                                                        {"Dimensions", dimensions()},
                                                        {"Period", 300},
                                                        {"Statistics", {"Sum", "SampleCount", "Average", "Minimum", "Maximum"}}},
                                                       0min, 10min));
  ASSERT_TRUE(answer) << answer.error().message;
  ASSERT_EQ(answer->at("Datapoints").size(), 2U);
  const Json& first = answer->at("Datapoints")[0];
  EXPECT_EQ(first["Timestamp"], to_epoch_seconds(kNoon));
  EXPECT_EQ(first["Sum"], 1500);
  EXPECT_EQ(first["SampleCount"], 10);
  EXPECT_EQ(first["Average"], 150);
  EXPECT_EQ(first["Minimum"], 10);
  EXPECT_EQ(first["Maximum"], 90);
  EXPECT_EQ(first["Unit"], "Bytes");
  EXPECT_EQ(answer->at("Datapoints")[1]["Sum"], 4000);
}

TEST_F(CloudWatch, GivesTheNewestDataFirstUnlessAskedOtherwise) {
  Json input = span({{"MetricDataQueries", {query("sum", "Sum"), query("hidden", "Average")}}}, 0min, 3min);
  input["MetricDataQueries"][1]["ReturnData"] = false;
  auto answer = call("GetMetricData", input);
  ASSERT_TRUE(answer) << answer.error().message;
  ASSERT_EQ(answer->at("MetricDataResults").size(), 1U);
  EXPECT_EQ(answer->at("MetricDataResults")[0]["Values"], (Json{300.0, 200.0, 100.0}));
  input["ScanBy"] = "TimestampAscending";
  EXPECT_EQ(call("GetMetricData", input)->at("MetricDataResults")[0]["Values"], (Json{100.0, 200.0, 300.0}));
}

TEST_F(CloudWatch, PagesByWholeQueries) {
  Json input =
      span({{"MetricDataQueries", {query("a", "Sum"), query("b", "Sum"), query("c", "Sum")}}, {"MaxDatapoints", 6}}, 0min, 3min);
  auto first = call("GetMetricData", input);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->at("MetricDataResults").size(), 2U);
  input["NextToken"] = first->at("NextToken");
  auto second = call("GetMetricData", input);
  ASSERT_EQ(second->at("MetricDataResults").size(), 1U);
  EXPECT_EQ(second->at("MetricDataResults")[0]["Id"], "c");
  EXPECT_FALSE(second->contains("NextToken"));
  input["NextToken"] = "bm9uc2Vuc2U=";
  EXPECT_EQ(call("GetMetricData", input).error().code, "InvalidNextToken");
}

TEST_F(CloudWatch, WhatItDoesNotComputeIsRefusedAndNotMadeUp) {
  EXPECT_EQ(call("GetMetricData", span({{"MetricDataQueries", {{{"Id", "m"}, {"Expression", "SUM(METRICS())"}}}}}, 0min, 3min))
                .error()
                .code,
            "ValidationError");
  EXPECT_EQ(call("GetMetricData", span({{"MetricDataQueries", {query("p", "p99")}}}, 0min, 3min)).error().code,
            "ValidationError");
  EXPECT_EQ(call("GetMetricData", span({{"MetricDataQueries", {query("a", "Sum", 61)}}}, 0min, 3min)).error().code,
            "ValidationError");
  EXPECT_EQ(call("GetMetricData", span({{"MetricDataQueries", {query("a", "Sum")}}}, 3min, 3min)).error().code,
            "ValidationError");
  const Json base{{"Namespace", "AWS/EFS"}, {"MetricName", "DataReadIOBytes"}, {"Period", 60}};
  EXPECT_EQ(call("GetMetricStatistics", span(base, 0min, 3min)).error().code, "MissingParameter");
  Json wide = span(base, -1500min, 0min);
  wide["Statistics"] = {"Sum"};
  EXPECT_EQ(call("GetMetricStatistics", wide).error().code, "InvalidParameterCombination");
}

TEST_F(CloudWatch, ListsMetricsByTheirDimensions) {
  store.put({"AWS/EFS", "StorageBytes", {{"FileSystemId", "fs-1"}, {"StorageClass", "Total"}}}, "Bytes", kNoon - 5h,
            StatisticSet::of(1));
  EXPECT_EQ(call("ListMetrics", {{"Namespace", "AWS/EFS"}})->at("Metrics").size(), 2U);
  EXPECT_EQ(call("ListMetrics", {{"RecentlyActive", "PT3H"}})->at("Metrics").size(), 1U);
  EXPECT_EQ(call("ListMetrics", {{"Dimensions", dimensions("fs-2")}})->at("Metrics").size(), 0U);
  const auto found = call("ListMetrics", {{"Dimensions", {{{"Name", "StorageClass"}}}}});
  ASSERT_EQ(found->at("Metrics").size(), 1U);
  EXPECT_EQ(found->at("Metrics")[0]["MetricName"], "StorageBytes");
}

TEST_F(CloudWatch, ForgetsWhatIsOlderThanADay) {
  store.put(kReads, "Bytes", kNoon + 24h + 5min, StatisticSet::of(1));
  EXPECT_EQ(store.find(kReads).points.front().at, kNoon + 5min);
}

}  // namespace
}  // namespace berth::services::cloudwatch

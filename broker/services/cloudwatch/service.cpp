#include "broker/services/cloudwatch/service.hpp"

#include <nlohmann/json.hpp>

#include "broker/services/cloudwatch/operations.hpp"

namespace berth::services::cloudwatch {

api::Service make_cloudwatch(const MetricStore& store) {
  // Reading metrics has no resource type: policies name `*`.
  const auto row = [&store](const char* name, Operation* operation) {
    return api::Operation{
        name, std::string("cloudwatch:") + name, api::any_resource(),
        [&store, operation](const CallContext& context, const Json& input) { return operation(store, context, input); }};
  };
  return {
      .model = "cloudwatch",
      .signing_names = {"monitoring"},
      .operations =
          {
              row("GetMetricData", get_metric_data),
              row("GetMetricStatistics", get_metric_statistics),
              row("ListMetrics", list_metrics),
          },
  };
}

}  // namespace berth::services::cloudwatch

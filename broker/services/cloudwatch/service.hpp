// The part of the CloudWatch API (2010-08-01) that reads metrics: GetMetricData, GetMetricStatistics, ListMetrics.
#pragma once

#include "broker/api/operation.hpp"
#include "broker/services/cloudwatch/metric_store.hpp"

namespace berth::services::cloudwatch {

// The store must outlive the service.
api::Service make_cloudwatch(const MetricStore& store);

}  // namespace berth::services::cloudwatch

// The handlers behind the table in service.cpp. Inside the CloudWatch service only.
#pragma once

#include "broker/api/operation.hpp"
#include "broker/services/cloudwatch/metric_store.hpp"

namespace berth::services::cloudwatch {

using api::CallContext;
using api::Json;
using api::Outcome;

using Operation = Outcome<Json>(const MetricStore&, const CallContext&, const Json&);

Operation get_metric_data, get_metric_statistics, list_metrics;

}  // namespace berth::services::cloudwatch

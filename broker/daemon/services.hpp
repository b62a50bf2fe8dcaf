// All services of the front door, in one place: the daemon serves them, docs/API.md lists them.
#pragma once

#include <string>
#include <vector>

#include "broker/api/registry.hpp"
#include "broker/base/error.hpp"
#include "broker/services/cloudwatch/metric_store.hpp"
#include "broker/services/efs/service.hpp"
#include "credentials/sts/session_token.hpp"

namespace berth::daemon {

// Everything given outlives the services.
std::vector<api::Service> make_services(control::ControlPlane& plane, const services::efs::Parts& efs,
                                        const credentials::SessionTokens& tokens, Random& random,
                                        const services::cloudwatch::MetricStore& metrics);

// docs/API.md: for each service which operations of its table are built and which answer NotImplemented.
std::string list_operations(const api::Registry& registry);
// The same from nothing: over a cloud of its own in a temporary directory, which is gone afterwards.
Result<std::string> list_operations();

}  // namespace berth::daemon

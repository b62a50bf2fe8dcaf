// The ECS API (2014-11-13): clusters, task definitions, tasks, container instances, tags.
//
// Handlers check the call outside the control lock, decide under it on cluster_sim's records and the documents
// (documents.hpp), and answer at once: that a task starts or stops is an effect of the cluster, carried out by others.
// What the API accepts and Berth does not act on is listed in docs/ECS.md; what a task can't have yet is refused by RunTask
// and StartTask (not_built.hpp), never ignored.
#pragma once

#include <chrono>

#include "broker/api/operation.hpp"

namespace berth::control {
class ControlPlane;
}

namespace berth::services::ecs {

struct EcsOptions {
  // How long a client token of RunTask stands for the tasks that its first call started.
  std::chrono::seconds client_token_retention{24 * 3600};
};

// `plane` outlives the service.
api::Service make_ecs(control::ControlPlane& plane, EcsOptions options = {});

}  // namespace berth::services::ecs

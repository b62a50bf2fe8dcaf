// Task metadata as JSON, versions 3 and 4. Inside this service only.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4.html
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "broker/control/control_plane.hpp"
#include "broker/control/task_endpoint.hpp"
#include "cluster_sim/cluster.hpp"

namespace berth::services::task_metadata {

// Everything of the control state that an answer about one task is made of.
struct TaskView {
  cluster_sim::Task task;
  control::TaskEndpoint endpoint;
  std::string definition;  // JSON
  std::optional<cluster_sim::Subnet> subnet;
  cluster_sim::Tags instance_tags;
  std::string region, account;
};

std::optional<TaskView> view_of(const control::Control& c, const cluster_sim::TaskId& task);

nlohmann::ordered_json container_json(const TaskView& view, const std::string& container, int version);
nlohmann::ordered_json task_json(const TaskView& view, int version, bool with_tags);

}  // namespace berth::services::task_metadata

// Tasks as the API shows them. Inside the ECS service only.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "broker/api/operation.hpp"
#include "broker/services/ecs/names.hpp"
#include "cluster_sim/task.hpp"

namespace berth::control {
struct Control;
}

namespace berth::services::ecs {

// What of the state is needed to show tasks: copied under the control lock, shown without it.
struct TaskSnapshot {
  std::vector<cluster_sim::Task> tasks;
  std::map<std::string, std::string> definitions;  // ARN -> document; a deleted one is not there

  void add(const control::Control& c, const cluster_sim::Task& task);
};

api::Json describe_tasks(const Home& home, const TaskSnapshot& snapshot, bool with_tags);
api::Json describe_failures(const std::vector<cluster_sim::Failure>& failures);

}  // namespace berth::services::ecs

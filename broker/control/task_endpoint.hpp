// TaskEndpoint: the unguessable names under which a task's containers find their credentials and metadata on 169.254.170.2.
//
// Drawn once before the task is launched and kept with the state: a daemon that starts again answers under the same names.
// Document kind "task-endpoint", key: the task's id.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/base/random.hpp"
#include "broker/control/documents.hpp"

namespace berth::control {

struct TaskEndpoint {
  std::string credentials_id;  // a UUID; empty: the task has no task role
  std::string role_arn;
  std::map<std::string, std::string> containers;  // container name -> metadata id (a UUID)
};

inline constexpr std::string_view kTaskEndpointKind = "task-endpoint";

TaskEndpoint make_task_endpoint(Random& random, std::string role_arn, const std::vector<std::string>& containers);
void put_task_endpoint(Documents& documents, const std::string& task, const TaskEndpoint& endpoint);
std::optional<TaskEndpoint> find_task_endpoint(const Documents& documents, const std::string& task);

}  // namespace berth::control

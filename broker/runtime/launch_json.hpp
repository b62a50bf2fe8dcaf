// A TaskLaunch as text, for tasks/<task>/launch.json: what adoption after a restart reads.
#pragma once

#include <string>

#include "broker/base/error.hpp"
#include "broker/runtime/task_launch.hpp"

namespace berth::runtime {

std::string write_launch(const TaskLaunch& launch);
Result<TaskLaunch> read_launch(const std::string& text);

}  // namespace berth::runtime

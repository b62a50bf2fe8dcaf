// From a task definition's JSON to the runtime's containers and volumes. Inside broker/launch only.
#pragma once

#include <map>
#include <string>
#include <variant>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "broker/base/error.hpp"
#include "broker/launch/grants.hpp"
#include "broker/runtime/task_launch.hpp"

namespace berth::launch {

using Json = nlohmann::json;

// A container with the override of the same name merged in. Its environment is the user's alone. Refuses what would change
// the container's meaning and is not built: secrets, environment files, GPUs, ...
Result<runtime::Container> read_container(const Json& definition, const Json& overrides, const Json& all_definitions);

// A volume of the definition: either ready, or one of EFS that must be decided first.
Result<std::variant<runtime::Volume, EfsVolume>> read_volume(const Json& volume);

}  // namespace berth::launch

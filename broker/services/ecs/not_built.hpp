// What ECS can do for a task and Berth can't yet. Registering such a definition is fine; running it is refused with the reason,
// so that no task ever runs with less than it was promised. Pure. Inside the ECS service only.
#pragma once

#include <optional>
#include <string>

#include "broker/api/operation.hpp"

namespace berth::services::ecs {

// Of the definition with the overrides applied. nullopt where all of it can be had.
std::optional<std::string> not_built_in_definition(const api::Json& definition);
// Of a RunTask or StartTask by itself.
std::optional<std::string> not_built_in_call(const api::Json& input);

}  // namespace berth::services::ecs

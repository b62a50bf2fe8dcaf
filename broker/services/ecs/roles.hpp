// Task and execution roles. Inside the ECS service only.
#pragma once

#include <string>

#include "broker/api/operation.hpp"
#include "broker/services/ecs/names.hpp"

namespace berth::credentials {
class Identities;
}

namespace berth::services::ecs {

inline constexpr auto kTasksService = "ecs-tasks.amazonaws.com";

// The ARN of a role that is named by its short name or its ARN.
std::string role_arn(const Home& home, const std::string& name_or_arn);

// The role must be there and let the tasks' service assume it; the refusal is ECS's.
api::Outcome<void> check_role(const credentials::Identities& identities, const std::string& account, const std::string& arn,
                              TimePoint now);

}  // namespace berth::services::ecs

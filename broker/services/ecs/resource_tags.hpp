// The tags of any of ECS's resources, by ARN. Inside the ECS service only.
#pragma once

#include <string>

#include "broker/api/operation.hpp"
#include "broker/services/ecs/tag_list.hpp"

namespace berth::control {
struct Control;
}

namespace berth::services::ecs {

api::Outcome<Tags> tags_of(const control::Control& c, const std::string& arn);

}  // namespace berth::services::ecs

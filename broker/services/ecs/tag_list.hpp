// Tags as ECS's API has them: a list of {key, value}. Inside the ECS service only.
#pragma once

#include <map>
#include <string>

#include "broker/api/operation.hpp"

namespace berth::services::ecs {

using Tags = std::map<std::string, std::string>;

// The member `tags` of an input; refuses doubled keys, keys that begin with `aws:` and more than 50.
api::Outcome<Tags> read_tags(const api::Json& input);
api::Outcome<void> check_tag_count(const Tags& tags);
api::Json write_tags(const Tags& tags);

// Whether the call's `include` names `what`.
bool includes(const api::Json& input, const char* what);

}  // namespace berth::services::ecs

// A task definition on its way in: checked as RegisterTaskDefinition does, completed with the defaults that it answers.
// Definitions are JSON by the shape's member names throughout. Pure. Inside the ECS service only.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/api/operation.hpp"

namespace berth::services::ecs {

// Fills in what ECS fills in (essential, protocol, rootDirectory, empty lists) and writes sizes in units and MiB. Do it first:
// the checks read the completed form. Fails for a size that can't be read.
api::Outcome<void> complete_definition(api::Json& definition);

// Everything that holds for every launch type; each a part of check_definition().
api::Outcome<void> check_containers(const api::Json& definition);
api::Outcome<void> check_dependencies(const api::Json& definition);
api::Outcome<void> check_volumes(const api::Json& definition);
api::Outcome<void> check_definition(const api::Json& definition);

// Why the definition can't run on Fargate, in ECS's words; nullopt if it can.
std::optional<std::string> fargate_problem(const api::Json& definition);

// The launch types that it can run on: EC2, FARGATE, EXTERNAL.
std::vector<std::string> compatibilities_of(const api::Json& definition);

// What a container instance must have registered; sorted.
std::vector<std::string> required_attributes(const api::Json& definition);

// --- reading JSON

// The member; an empty array where it is absent.
const api::Json& list_of(const api::Json& object, const char* member);
// The text; empty where it is absent.
std::string text_of(const api::Json& object, const char* member);
bool is_awsvpc(const api::Json& definition);
const api::Json* find_container(const api::Json& definition, std::string_view name);

}  // namespace berth::services::ecs

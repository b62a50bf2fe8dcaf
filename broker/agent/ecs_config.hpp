// What an instance's user data writes into /etc/ecs/ecs.config, as far as the simulated agent acts on it.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace berth::agent {

struct EcsConfig {
  std::string cluster = "default";                // ECS_CLUSTER
  std::map<std::string, std::string> attributes;  // ECS_INSTANCE_ATTRIBUTES, a JSON object
  int reserved_memory_mib = 0;                    // ECS_RESERVED_MEMORY
};

// The user data isn't run: `NAME=value` is looked for line by line, in `echo NAME=value >> ...` and here-documents alike. The
// last one counts; lines that are comments don't.
EcsConfig read_ecs_config(std::string_view user_data);

}  // namespace berth::agent

// Which Linux capabilities a container has: Docker's default fourteen, changed by the task definition.
#pragma once

#include <string>
#include <vector>

#include "broker/base/error.hpp"

namespace berth::runtime {

// "CAP_CHOWN", ...; sorted. `add` and `drop` name them as ECS does, without CAP_ ("SYS_PTRACE", "ALL").
// Fails for names that there are not and for capabilities with which a task could leave its container.
Result<std::vector<std::string>> container_capabilities(const std::vector<std::string>& add,
                                                        const std::vector<std::string>& drop);

}  // namespace berth::runtime

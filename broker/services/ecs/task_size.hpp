// Task sizes as ECS accepts them: "256", "1 vCPU", ".5 vcpu"; "512", "2GB", "2 gb". Inside the ECS service only.
#pragma once

#include <optional>
#include <string_view>

namespace berth::services::ecs {

std::optional<int> parse_cpu_units(std::string_view text);
std::optional<int> parse_memory_mib(std::string_view text);

}  // namespace berth::services::ecs

// The shape tables that are part of the binary, as JSON text.
#pragma once

#include <optional>
#include <string_view>

namespace berth::protocol {

// `name` as the file in broker/protocol/shapes/ has it: "ecs", "efs", ...
std::optional<std::string_view> shape_table(std::string_view name);

}  // namespace berth::protocol

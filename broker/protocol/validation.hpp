// Checks of a decoded input against its shape: required members, lengths, ranges, patterns, enums. AWS's sentences, and the
// error that each service gives for them.
#pragma once

#include <optional>

#include <nlohmann/json_fwd.hpp>

#include "broker/protocol/model.hpp"
#include "broker/protocol/wire_error.hpp"

namespace berth::protocol {

// nullopt: the input is as the shape wants it.
std::optional<WireError> validate(const Model& model, const OperationModel& operation, const nlohmann::json& input);

}  // namespace berth::protocol

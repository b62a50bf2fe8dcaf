// Form parameters to a typed input.
#pragma once

#include <expected>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "broker/protocol/form.hpp"
#include "broker/protocol/model.hpp"

namespace berth::protocol::query {

// The error is a message: "abc at MaxItems is not an Integer".
std::expected<nlohmann::json, std::string> read_structure(const Shape& shape, const FormNode& node, bool ec2);

}  // namespace berth::protocol::query

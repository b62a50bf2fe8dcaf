// JSON bodies to typed values and back, for aws_json and rest_json.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "broker/protocol/model.hpp"

namespace berth::protocol {

// A message for SerializationException.
template <class T>
using Typed = std::expected<T, std::string>;

// An object, whatever its members; an empty text is an empty object. Refuses what nests deeper than any shape does.
Typed<nlohmann::json> parse_object(std::string_view text);

// Wire names become member names; null members and unknown ones are left out.
Typed<nlohmann::json> from_json(const Shape& shape, const nlohmann::json& wire);
// The other way; members that the shape doesn't have are left out.
nlohmann::json to_json(const Shape& shape, const nlohmann::json& value);

// Invalid UTF-8 in it becomes U+FFFD.
std::string dump(const nlohmann::json& value);

}  // namespace berth::protocol

// CBOR (RFC 8949) bodies to JSON and back: the part of it that AWS's clients send and read.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "broker/protocol/json_value.hpp"
#include "broker/protocol/model.hpp"

namespace berth::protocol {

// Byte strings become base64 text, tagged times their seconds, undefined null. Refuses what nests deeper than any shape does.
Typed<nlohmann::json> parse_cbor(std::string_view bytes);

// A value of the shape; members that the shape doesn't have are left out.
std::string to_cbor(const Shape& shape, const nlohmann::json& value);

}  // namespace berth::protocol

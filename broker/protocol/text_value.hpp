// Scalars that travel as text: form values, query strings, headers, path labels, XML.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "broker/protocol/model.hpp"

namespace berth::protocol {

// The value as handlers see it; otherwise what was wanted: "an Integer".
std::expected<nlohmann::json, std::string> scalar_from_text(const Shape& shape, std::string_view text);
// `times` decides where neither the member nor the shape says how time is written.
std::string scalar_to_text(const Shape& shape, const nlohmann::json& value, TimeFormat times, bool milliseconds = false);

}  // namespace berth::protocol

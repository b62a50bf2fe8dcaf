// A typed output to XML.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "broker/protocol/model.hpp"
#include "broker/protocol/xml.hpp"

namespace berth::protocol::query {

// The members of `value` as elements, in the shape's order; no element around them.
void write_structure(XmlWriter& xml, const Shape& shape, const nlohmann::json& value, bool ec2);

}  // namespace berth::protocol::query

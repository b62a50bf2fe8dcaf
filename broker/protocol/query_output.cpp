#include "broker/protocol/query_output.hpp"

#include <nlohmann/json.hpp>

#include "broker/protocol/query_names.hpp"
#include "broker/protocol/text_value.hpp"

namespace berth::protocol::query {

using Json = nlohmann::json;

namespace {

void write_value(XmlWriter& xml, const std::string& name, const Member& member, const Json& value, bool ec2);

void write_list(XmlWriter& xml, const std::string& name, const Member& member, const Json& value, bool ec2) {
  const Member& element = member.shape->element;
  if (is_flat(member)) {
    for (const Json& item : value) write_value(xml, name, element, item, ec2);
    return;
  }
  xml.open(name);
  for (const Json& item : value) write_value(xml, or_else(element.wire_name, ec2 ? "item" : "member"), element, item, ec2);
  xml.close(name);
}

void write_map(XmlWriter& xml, const std::string& name, const Member& member, const Json& value, bool ec2) {
  const Shape& shape = *member.shape;
  const bool flat = is_flat(member);
  const std::string entry = flat ? name : "entry";
  if (!flat) xml.open(name);
  for (const auto& [key, item] : value.items()) {
    xml.open(entry).element(or_else(shape.key.wire_name, "key"), key);
    write_value(xml, or_else(shape.value.wire_name, "value"), shape.value, item, ec2);
    xml.close(entry);
  }
  if (!flat) xml.close(name);
}

void write_value(XmlWriter& xml, const std::string& name, const Member& member, const Json& value, bool ec2) {
  const Shape& shape = *member.shape;
  if (value.is_null()) return;
  if (shape.type == Type::structure && value.is_object()) {
    xml.open(name);
    write_structure(xml, shape, value, ec2);
    xml.close(name);
  } else if (shape.type == Type::list && value.is_array()) {
    write_list(xml, name, member, value, ec2);
  } else if (shape.type == Type::map && value.is_object()) {
    write_map(xml, name, member, value, ec2);
  } else {
    const TimeFormat times = member.time_format == TimeFormat::by_protocol ? TimeFormat::iso8601 : member.time_format;
    xml.element(name, scalar_to_text(shape, value, times, /*milliseconds=*/ec2));
  }
}

}  // namespace

void write_structure(XmlWriter& xml, const Shape& shape, const Json& value, bool ec2) {
  for (const Member& member : shape.members) {
    const auto found = value.find(member.name);
    if (found == value.end()) continue;
    write_value(xml, member.wire_name.empty() ? member.name : member.wire_name, member, *found, ec2);
  }
}

}  // namespace berth::protocol::query

#include "broker/protocol/query_input.hpp"

#include <nlohmann/json.hpp>

#include <fmt/format.h>

#include "broker/protocol/query_names.hpp"
#include "broker/protocol/text_value.hpp"

namespace berth::protocol::query {

using Json = nlohmann::json;
using Read = std::expected<Json, std::string>;

namespace {

Read read_value(const Member& member, const FormNode& node, const std::string& path, bool ec2);

// EC2's inputs are named by `queryName`, else by `locationName` with a capital first letter.
std::string input_name(const Member& member, bool ec2) {
  if (ec2 && !member.query_name.empty()) return member.query_name;
  std::string name = member.wire_name.empty() ? member.name : member.wire_name;
  if (ec2 && !name.empty() && name[0] >= 'a' && name[0] <= 'z') name[0] = static_cast<char>(name[0] - 'a' + 'A');
  return name;
}

Read read_list(const Member& member, const FormNode& node, const std::string& path, bool ec2) {
  const Shape& shape = *member.shape;
  const FormNode* items = &node;
  // EC2 numbers its lists directly: Filter.1; Query puts a word between: Tags.member.1.
  if (!ec2 && !is_flat(member)) items = node.find(or_else(shape.element.wire_name, "member"));
  Json out = Json::array();
  if (items == nullptr) return out;
  std::size_t number = 0;
  for (const FormNode* item : items->numbered()) {
    auto value = read_value(shape.element, *item, fmt::format("{}.{}", path, ++number), ec2);
    if (!value) return value;
    if (!value->is_null()) out.push_back(std::move(*value));
  }
  return out;
}

Read read_map(const Member& member, const FormNode& node, const std::string& path, bool ec2) {
  const Shape& shape = *member.shape;
  const FormNode* entries = is_flat(member) ? &node : node.find("entry");
  Json out = Json::object();
  if (entries == nullptr) return out;
  for (const FormNode* entry : entries->numbered()) {
    const FormNode* key = entry->find(or_else(shape.key.wire_name, "key"));
    const FormNode* value = entry->find(or_else(shape.value.wire_name, "value"));
    if (key == nullptr || !key->value || value == nullptr) continue;
    auto read = read_value(shape.value, *value, path + "." + *key->value, ec2);
    if (!read) return read;
    if (!read->is_null()) out[*key->value] = std::move(*read);
  }
  return out;
}

Read read_members(const Shape& shape, const FormNode& node, const std::string& path, bool ec2) {
  Json out = Json::object();
  for (const Member& member : shape.members) {
    const std::string name = input_name(member, ec2);
    const FormNode* child = node.find(name);
    if (child == nullptr) continue;
    auto value = read_value(member, *child, path.empty() ? name : path + "." + name, ec2);
    if (!value) return value;
    if (!value->is_null()) out[member.name] = std::move(*value);
  }
  return out;
}

Read read_value(const Member& member, const FormNode& node, const std::string& path, bool ec2) {
  switch (member.shape->type) {
    case Type::structure: return read_members(*member.shape, node, path, ec2);
    case Type::list: return read_list(member, node, path, ec2);
    case Type::map: return read_map(member, node, path, ec2);
    default: break;
  }
  if (!node.value) return Json();  // `Name.x=...` where Name is no structure: there is no such member or element
  auto value = scalar_from_text(*member.shape, *node.value);
  if (!value)
    return std::unexpected(fmt::format("Value ({}) for parameter {} is invalid: it is not {}", *node.value, path, value.error()));
  return std::move(*value);
}

}  // namespace

Read read_structure(const Shape& shape, const FormNode& node, bool ec2) { return read_members(shape, node, {}, ec2); }

}  // namespace berth::protocol::query

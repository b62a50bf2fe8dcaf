#include "broker/agent/ecs_config.hpp"

#include <charconv>
#include <optional>

#include <nlohmann/json.hpp>

#include "broker/base/json_depth.hpp"

namespace berth::agent {
namespace {

bool part_of_name(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; }

// What stands behind `name=` on this line; nullopt where it isn't there, or is the end of a longer name.
std::optional<std::string_view> assigned(std::string_view line, std::string_view name) {
  const std::size_t at = line.find(name);
  if (at == std::string_view::npos || (at > 0 && part_of_name(line[at - 1]))) return std::nullopt;
  std::string_view rest = line.substr(at + name.size());
  if (!rest.starts_with('=')) return std::nullopt;
  rest.remove_prefix(1);
  return rest;
}

std::string_view word(std::string_view text) {
  if (!text.empty() && (text[0] == '"' || text[0] == '\'')) text.remove_prefix(1);
  return text.substr(0, text.find_first_of(" \t\r>;|&\"'"));
}

// The object from `{` to the last `}` of the line; quotes around it are the shell's.
void read_attributes(std::string_view text, std::map<std::string, std::string>& attributes) {
  const std::size_t open = text.find('{'), close = text.rfind('}');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) return;
  text = text.substr(open, close - open + 1);
  if (nests_deeper(text)) return;
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return;
  attributes.clear();
  for (const auto& [name, value] : json.items()) {
    if (value.is_string()) attributes[name] = value.get<std::string>();
  }
}

void read_line(std::string_view line, EcsConfig& config) {
  if (auto value = assigned(line, "ECS_CLUSTER"); value && !word(*value).empty()) config.cluster = word(*value);
  if (auto value = assigned(line, "ECS_INSTANCE_ATTRIBUTES")) read_attributes(*value, config.attributes);
  if (auto value = assigned(line, "ECS_RESERVED_MEMORY")) {
    const std::string_view number = word(*value);
    std::from_chars(number.data(), number.data() + number.size(), config.reserved_memory_mib);
  }
}

}  // namespace

EcsConfig read_ecs_config(std::string_view user_data) {
  EcsConfig config;
  while (!user_data.empty()) {
    const std::size_t end = std::min(user_data.find('\n'), user_data.size());
    std::string_view line = user_data.substr(0, end);
    user_data.remove_prefix(std::min(end + 1, user_data.size()));
    const std::size_t first = line.find_first_not_of(" \t");
    if (first != std::string_view::npos && line[first] != '#') read_line(line, config);
  }
  return config;
}

}  // namespace berth::agent

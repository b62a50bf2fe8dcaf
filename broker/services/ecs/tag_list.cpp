#include "broker/services/ecs/tag_list.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "broker/services/ecs/errors.hpp"

namespace berth::services::ecs {

using api::Json;
using api::Outcome;

namespace {
constexpr std::size_t kTagsMax = 50;
}

Outcome<Tags> read_tags(const Json& input) {
  Tags tags;
  const auto list = input.find("tags");
  if (list == input.end()) return tags;
  for (const auto& tag : *list) {
    const auto key = tag.value("key", "");
    if (key.empty()) return invalid("Tag keys must have 1 to 128 characters.");
    if (key.size() >= 4 && (key.starts_with("aws:") || key.starts_with("AWS:")))
      return invalid("Tag key `{}`: keys that begin with aws: are reserved for AWS's own use.", key);
    if (!tags.emplace(key, tag.value("value", "")).second) return invalid("Duplicate tag key `{}`.", key);
  }
  if (auto checked = check_tag_count(tags); !checked) return refused(checked);
  return tags;
}

Outcome<void> check_tag_count(const Tags& tags) {
  // ECS's own tags do not count.
  const auto own = std::count_if(tags.begin(), tags.end(), [](const auto& tag) { return !tag.first.starts_with("aws:"); });
  if (static_cast<std::size_t>(own) > kTagsMax) return invalid("The number of tags exceeds the limit of {}.", kTagsMax);
  return {};
}

Json write_tags(const Tags& tags) {
  auto list = Json::array();
  for (const auto& [key, value] : tags) list.push_back({{"key", key}, {"value", value}});
  return list;
}

bool includes(const Json& input, const char* what) {
  const auto include = input.find("include");
  return include != input.end() && std::find(include->begin(), include->end(), what) != include->end();
}

}  // namespace berth::services::ecs

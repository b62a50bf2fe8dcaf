#include "broker/services/ec2/wire.hpp"

#include <algorithm>

#include "broker/base/encoding.hpp"

namespace berth::services::ec2 {

std::unexpected<api::ApiError> refuse_as(const Error& error, std::initializer_list<std::pair<Code, const char*>> codes) {
  for (const auto& [code, name] : codes) {
    if (code == error.code) return api::refuse(name, error.message);
  }
  return api::refuse("InvalidParameterValue", error.message);
}

std::string text(const Json& input, const char* member) {
  auto found = input.find(member);
  return found == input.end() || !found->is_string() ? std::string() : found->get<std::string>();
}

std::vector<std::string> texts(const Json& input, const char* member) {
  auto found = input.find(member);
  return found == input.end() || !found->is_array() ? std::vector<std::string>() : found->get<std::vector<std::string>>();
}

Outcome<Tags> tags_for(const Json& input, std::string_view resource_type) {
  Tags tags;
  for (const auto& specification : input.value("TagSpecifications", Json::array())) {
    if (const std::string type = text(specification, "ResourceType"); type != resource_type) {
      return api::refuse("InvalidParameterValue",
                         fmt::format("'{}' is not a valid taggable resource type for this operation.", type));
    }
    for (const auto& tag : specification.value("Tags", Json::array())) tags[text(tag, "Key")] = text(tag, "Value");
  }
  return tags;
}

Json tag_list(const Tags& tags) {
  Json list = Json::array();
  for (const auto& [key, value] : tags) list.push_back({{"Key", key}, {"Value", value}});
  return list;
}

void add_tags(Json& answer, const Tags& tags, const char* member) {
  if (!tags.empty()) answer[member] = tag_list(tags);
}

// Greedy with one point to come back to: linear in practice, no recursion.
bool matches_wildcard(std::string_view pattern, std::string_view value) {
  std::size_t p = 0, v = 0, star = std::string_view::npos, resume = 0;
  while (v < value.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = v;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == value[v])) {
      ++p, ++v;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      v = ++resume;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

bool matches_any(const std::vector<std::string>& patterns, const Values& values) {
  return std::ranges::any_of(patterns, [&](const std::string& pattern) {
    return std::ranges::any_of(values, [&](const std::string& value) { return matches_wildcard(pattern, value); });
  });
}

bool matches_tags(std::string_view filter, const std::vector<std::string>& patterns, const Tags& tags) {
  if (filter == "tag-key") {
    return std::ranges::any_of(tags, [&](const auto& tag) { return matches_any(patterns, {tag.first}); });
  }
  auto found = tags.find(std::string(filter.substr(4)));
  return found != tags.end() && matches_any(patterns, {found->second});
}

std::unexpected<api::ApiError> unknown_filter(std::string_view name) {
  return api::refuse("InvalidParameterValue", fmt::format("The filter '{}' is invalid", name));
}

Outcome<Json> page(const Json& input, const char* list, Items items) {
  Json answer = Json::object();
  auto from = items.begin();
  if (const std::string token = text(input, "NextToken"); !token.empty()) {
    const auto last = base64_decode(token);
    if (!last) return api::refuse("InvalidNextToken", "The token '" + token + "' is invalid");
    from = std::ranges::find_if(items, [&](const auto& item) { return item.first > *last; });
  }
  auto to = items.end();
  if (auto size = input.find("MaxResults"); size != input.end() && size->is_number_integer()) {
    const auto wanted = size->get<std::int64_t>();
    if (wanted < 1)
      return api::refuse("InvalidParameterValue", fmt::format("Value ( {} ) for parameter maxResults is invalid.", wanted));
    if (wanted < to - from) to = from + wanted;
  }
  Json& shown = answer[list] = Json::array();
  for (auto at = from; at != to; ++at) shown.push_back(std::move(at->second));
  if (to != items.end()) answer["NextToken"] = base64_encode((to - 1)->first);
  return answer;
}

}  // namespace berth::services::ec2

// What the handlers share: tags, filters, pages, and errors by EC2's codes. Inside the EC2 service only.
#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "broker/api/operation.hpp"
#include "cluster_sim/cluster.hpp"
#include "cluster_sim/images.hpp"

namespace berth::services::ec2 {

using api::Json;
using api::Outcome;
using cluster_sim::Cluster;
using cluster_sim::Tags;

// The cluster's error under EC2's code for it; what no pair names is InvalidParameterValue.
std::unexpected<api::ApiError> refuse_as(const Error& error, std::initializer_list<std::pair<Code, const char*>> codes);

// A member as text; empty where it isn't there.
std::string text(const Json& input, const char* member);
std::vector<std::string> texts(const Json& input, const char* member);

// --- tags

// Those of TagSpecifications for this resource type. InvalidParameterValue for another type, as one call makes one type only.
Outcome<Tags> tags_for(const Json& input, std::string_view resource_type);
Json tag_list(const Tags& tags);
void add_tags(Json& answer, const Tags& tags, const char* member = "Tags");

// --- lists

using Values = std::vector<std::string>;

// One filter that a Describe operation knows: its name, and what it looks at. tag:KEY and tag-key come on top.
template <class Record>
struct Filter {
  std::string_view name;
  Values (*values)(const Cluster&, const Record&);
};

// `*` and `?` stand for any text and any one character.
bool matches_wildcard(std::string_view pattern, std::string_view value);
bool matches_any(const std::vector<std::string>& patterns, const Values& values);
bool matches_tags(std::string_view filter, const std::vector<std::string>& patterns, const Tags& tags);
inline bool is_tag_filter(std::string_view name) { return name.starts_with("tag:") || name == "tag-key"; }
std::unexpected<api::ApiError> unknown_filter(std::string_view name);

// Empty for filters that are all known.
template <class Record>
Outcome<void> check_filters(const Json& input, std::span<const Filter<Record>> known) {
  for (const auto& filter : input.value("Filters", Json::array())) {
    const std::string name = text(filter, "Name");
    const auto is_it = [&](const auto& f) { return f.name == name; };
    if (!is_tag_filter(name) && std::find_if(known.begin(), known.end(), is_it) == known.end()) return unknown_filter(name);
  }
  return {};
}

template <class Record>
bool passes(const Json& input, std::span<const Filter<Record>> known, const Cluster& cluster, const Record& record) {
  for (const auto& filter : input.value("Filters", Json::array())) {
    const std::string name = text(filter, "Name");
    const auto patterns = texts(filter, "Values");
    if (is_tag_filter(name)) {
      if constexpr (requires { record.tags; }) {
        if (matches_tags(name, patterns, record.tags)) continue;
      }
      return false;
    }
    for (const auto& f : known) {
      if (f.name == name && !matches_any(patterns, f.values(cluster, record))) return false;
    }
  }
  return true;
}

// Items under their keys, in order.
using Items = std::vector<std::pair<std::string, Json>>;
// {list: [...], NextToken}: by MaxResults and NextToken where they are given, all at once otherwise.
Outcome<Json> page(const Json& input, const char* list, Items items);

// The records that were named in `ids_member` (all of them where none was) and pass the filters, as `describe` shows them.
template <class Key, class Record, class Describe>
Outcome<Json> describe_records(const Json& input, const char* list, const char* ids_member, const Cluster& cluster,
                               const std::map<Key, Record>& table, std::span<const Filter<Record>> filters,
                               const char* not_found_code, std::string_view noun, Describe describe) {
  if (auto checked = check_filters(input, filters); !checked) return std::unexpected(checked.error());
  const auto ids = texts(input, ids_member);
  Items items;
  for (const auto& id : ids) {
    if (!table.contains(Key(id))) return api::refuse(not_found_code, fmt::format("The {} ID '{}' does not exist", noun, id));
  }
  for (const auto& [key, record] : table) {
    if (!ids.empty() && std::find(ids.begin(), ids.end(), key.str()) == ids.end()) continue;
    if (passes(input, filters, cluster, record)) items.emplace_back(key.str(), describe(record));
  }
  return page(input, list, std::move(items));
}

}  // namespace berth::services::ec2

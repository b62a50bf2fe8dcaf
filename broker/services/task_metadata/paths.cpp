#include "broker/services/task_metadata/paths.hpp"

#include <vector>

#include "broker/base/encoding.hpp"

namespace berth::services::task_metadata {

std::string clean_path(std::string_view path) {
  std::vector<std::string_view> parts;
  const bool ends_in_slash = path.ends_with('/');
  while (!path.empty()) {
    const auto slash = path.find('/');
    const auto part = path.substr(0, slash);
    path.remove_prefix(slash == path.npos ? path.size() : slash + 1);
    if (part == ".." && !parts.empty()) parts.pop_back();
    if (!part.empty() && part != "." && part != "..") parts.push_back(part);
  }
  std::string clean;
  for (const auto part : parts) clean.append("/").append(part);
  if (ends_in_slash || clean.empty()) clean += '/';
  return clean;
}

std::pair<std::string_view, std::string_view> split_first(std::string_view path) {
  const auto slash = path.find('/');
  if (slash == path.npos) return {path, {}};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

std::string query_value(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const auto pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    const auto equals = pair.find('=');
    if (pair.substr(0, equals) != name || equals == pair.npos) continue;
    return percent_decode(pair.substr(equals + 1), true).value_or("");
  }
  return {};
}

}  // namespace berth::services::task_metadata

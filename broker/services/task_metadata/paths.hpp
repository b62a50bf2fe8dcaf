// Paths as the agent's router reads them. Inside this service only.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace berth::services::task_metadata {

// Without empty, `.` and `..` parts; a slash at the end stays.
std::string clean_path(std::string_view path);
// `a/b/c` -> {"a", "b/c"}; {"a", ""} where there is no slash.
std::pair<std::string_view, std::string_view> split_first(std::string_view path);
// The value of a query parameter, decoded; empty where it is not there.
std::string query_value(std::string_view query, std::string_view name);

}  // namespace berth::services::task_metadata

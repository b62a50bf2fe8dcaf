#include "broker/protocol/uri_template.hpp"

#include <vector>

#include "broker/base/encoding.hpp"
#include "broker/protocol/form.hpp"

namespace berth::protocol {

namespace {

std::vector<std::string_view> segments(std::string_view path) {
  if (path.starts_with('/')) path.remove_prefix(1);
  if (path.ends_with('/')) path.remove_suffix(1);
  std::vector<std::string_view> out;
  while (true) {
    const auto slash = path.find('/');
    out.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return out;
    path.remove_prefix(slash + 1);
  }
}

bool is_label(std::string_view segment) { return segment.starts_with('{') && segment.ends_with('}'); }

// From the segment on to the end of the path, decoded.
std::optional<std::string> rest_from(std::string_view path, std::string_view segment) {
  return percent_decode(path.substr(static_cast<std::size_t>(segment.data() - path.data())));
}

bool query_fits(std::string_view literal, std::string_view query) {
  const auto wanted = parse_form(literal);
  const auto given = parse_form(query);
  if (!wanted || !given) return false;
  for (const auto& [name, value] : *wanted) {
    const std::string* found = find_parameter(*given, name);
    if (found == nullptr || *found != value) return false;
  }
  return true;
}

}  // namespace

std::optional<UriMatch> match_uri(std::string_view uri_template, std::string_view path, std::string_view query) {
  UriMatch match;
  const auto mark = uri_template.find('?');
  if (mark != std::string_view::npos) {
    if (!query_fits(uri_template.substr(mark + 1), query)) return std::nullopt;
    ++match.literals;
  }
  const auto wanted = segments(uri_template.substr(0, mark));
  const auto given = segments(path);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (i >= given.size()) return std::nullopt;
    if (!is_label(wanted[i])) {
      if (wanted[i] != given[i]) return std::nullopt;
      ++match.literals;
      continue;
    }
    const bool greedy = wanted[i].ends_with("+}");
    auto value = greedy ? rest_from(path, given[i]) : percent_decode(given[i]);
    if (!value || value->empty()) return std::nullopt;
    match.labels.emplace(wanted[i].substr(1, wanted[i].size() - (greedy ? 3 : 2)), std::move(*value));
    if (greedy) return match;
  }
  if (wanted.size() != given.size()) return std::nullopt;
  return match;
}

}  // namespace berth::protocol

// Lifecycle management: which rules a file system has. Berth has one storage class, so they move nothing.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include <nlohmann/json.hpp>

#include "broker/control/control_plane.hpp"
#include "broker/services/efs/operations.hpp"
#include "broker/services/efs/records.hpp"

namespace berth::services::efs {

using api::refuse;
using control::Control;
using fuse::LifecycleRule;

namespace {

using Rules = std::vector<LifecycleRule>;

const LifecycleRule* find_rule(const Rules& rules, std::string_view transition) {
  const auto found = std::find_if(rules.begin(), rules.end(), [&](const auto& rule) { return rule.transition == transition; });
  return found == rules.end() ? nullptr : &*found;
}

// 30 of AFTER_30_DAYS; the shape lets nothing else through.
int days_of(std::string_view when) {
  constexpr std::string_view kPrefix = "AFTER_";
  int days = 0;
  when.remove_prefix(std::min(when.size(), kPrefix.size()));
  std::from_chars(when.data(), when.data() + when.size(), days);
  return days;
}

Outcome<Rules> read_rules(const Json& policies) {
  Rules rules;
  for (const auto& policy : policies) {
    if (policy.size() != 1)
      return refuse("BadRequest",
                    fmt::format("a LifecyclePolicy holds one transition, not {}: write one object for each", policy.size()));
    LifecycleRule rule{policy.begin().key(), policy.begin().value().get<std::string>()};
    if (find_rule(rules, rule.transition) != nullptr) return refuse("BadRequest", fmt::format("{} comes twice", rule.transition));
    rules.push_back(std::move(rule));
  }
  return rules;
}

// https://docs.aws.amazon.com/efs/latest/ug/API_PutLifecycleConfiguration.html
Outcome<void> check_archive(const Rules& rules, const fuse::FileSystemRecord& record) {
  const auto* archive = find_rule(rules, kToArchive);
  if (archive == nullptr) return {};
  if (record.throughput_mode != "elastic" || record.performance_mode != "generalPurpose")
    return refuse("BadRequest",
                  fmt::format("TransitionToArchive needs ThroughputMode elastic and PerformanceMode generalPurpose; '{}' has {} "
                              "and {}",
                              record.id.str(), record.throughput_mode, record.performance_mode));
  const auto* infrequent = find_rule(rules, "TransitionToIA");
  if (infrequent == nullptr || days_of(archive->when) <= days_of(infrequent->when))
    return refuse("BadRequest", "TransitionToArchive must be later than TransitionToIA, which must be there");
  return {};
}

Json describe_rules(const Rules& rules) {
  auto list = Json::array();
  for (const auto& rule : rules) list.push_back({{rule.transition, rule.when}});
  return {{"LifecyclePolicies", std::move(list)}};
}

}  // namespace

Outcome<Json> put_lifecycle_configuration(const Parts& parts, const CallContext&, const Json& input) {
  auto rules = read_rules(input.at("LifecyclePolicies"));
  if (!rules) return std::unexpected(rules.error());
  return parts.plane.with([&](Control& c) -> Outcome<Json> {
    const auto record = need_available(c.catalog, input.at("FileSystemId").get<std::string>());
    if (!record) return std::unexpected(record.error());
    if (auto checked = check_archive(*rules, **record); !checked) return std::unexpected(checked.error());
    auto& changed = *c.catalog.edit((*record)->id);
    changed.lifecycle = std::move(*rules);
    return describe_rules(changed.lifecycle);
  });
}

Outcome<Json> describe_lifecycle_configuration(const Parts& parts, const CallContext&, const Json& input) {
  return parts.plane.read([&](const Control& c) -> Outcome<Json> {
    const auto record = need_file_system(c.catalog, input.at("FileSystemId").get<std::string>());
    if (!record) return std::unexpected(record.error());
    return describe_rules((*record)->lifecycle);
  });
}

}  // namespace berth::services::efs

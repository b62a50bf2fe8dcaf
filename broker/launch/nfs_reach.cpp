#include "broker/launch/nfs_reach.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace berth::launch {
namespace {

using cluster_sim::SecurityGroup;
using cluster_sim::SecurityGroupId;
using Groups = std::map<SecurityGroupId, SecurityGroup>;

constexpr int kNfsPort = 2049;

bool speaks_of_nfs(const SecurityGroup::Rule& rule) {
  if (rule.protocol == "-1") return true;
  return rule.protocol == "tcp" && (rule.from_port == -1 || (rule.from_port <= kNfsPort && kNfsPort <= rule.to_port));
}

bool names(const SecurityGroup::Rule& rule, const NfsEnd& other) {
  const auto in_block = [&](const std::string& text) {
    const auto block = cluster_sim::parse_cidr(text);
    return block && block->contains(other.address);
  };
  const auto is_member = [&](const SecurityGroupId& id) {
    return std::ranges::find(other.security_groups, id) != other.security_groups.end();
  };
  return std::ranges::any_of(rule.cidrs, in_block) || std::ranges::any_of(rule.groups, is_member);
}

bool allows(const Groups& groups, const NfsEnd& own, bool egress, const NfsEnd& other) {
  return std::ranges::any_of(own.security_groups, [&](const SecurityGroupId& id) {
    const auto group = groups.find(id);
    return group != groups.end() && std::ranges::any_of(group->second.rules, [&](const SecurityGroup::Rule& rule) {
             return rule.egress == egress && speaks_of_nfs(rule) && names(rule, other);
           });
  });
}

std::string listed(const std::vector<SecurityGroupId>& ids) {
  std::vector<std::string> texts;
  for (const auto& id : ids) texts.push_back(id.str());
  return fmt::format("{}", fmt::join(texts, ", "));
}

}  // namespace

std::string why_nfs_is_closed(const Groups& groups, const NfsEnd& client, const NfsEnd& target) {
  if (!allows(groups, target, false, client))
    return fmt::format(
        "the mount target's security groups ({}) have no inbound rule for TCP port 2049 from {} or from the client's "
        "security groups ({})",
        listed(target.security_groups), cluster_sim::address_text(client.address), listed(client.security_groups));
  if (!allows(groups, client, true, target))
    return fmt::format(
        "the client's security groups ({}) have no outbound rule for TCP port 2049 to {} or to the mount target's "
        "security groups ({})",
        listed(client.security_groups), cluster_sim::address_text(target.address), listed(target.security_groups));
  return {};
}

}  // namespace berth::launch

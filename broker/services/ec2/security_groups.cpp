// Security groups and their rules. Berth keeps them and does not filter by them.

#include <array>

#include "broker/control/control_plane.hpp"
#include "broker/services/ec2/operations.hpp"
#include "broker/services/ec2/wire.hpp"

namespace berth::services::ec2 {
namespace {

using namespace cluster_sim;
using control::Control;
using Rule = SecurityGroup::Rule;

std::string arn_of(const Settings& settings, const SecurityGroupId& id) {
  return fmt::format("arn:aws:ec2:{}:{}:security-group/{}", settings.region, settings.account, id.str());
}

Json rule_json(const Settings& settings, const Rule& rule) {
  Json ranges = Json::array(), pairs = Json::array();
  for (const auto& cidr : rule.cidrs) ranges.push_back({{"CidrIp", cidr}});
  for (const auto& group : rule.groups) pairs.push_back({{"GroupId", group.str()}, {"UserId", settings.account}});
  Json json{{"IpProtocol", rule.protocol},
            {"IpRanges", std::move(ranges)},
            {"UserIdGroupPairs", std::move(pairs)},
            {"Ipv6Ranges", Json::array()},
            {"PrefixListIds", Json::array()}};
  if (rule.protocol != "-1") {
    json["FromPort"] = rule.from_port;
    json["ToPort"] = rule.to_port;
  }
  return json;
}

Json group_json(const Settings& settings, const SecurityGroup& group) {
  Json json{{"GroupId", group.id.str()},
            {"GroupName", group.name},
            {"Description", group.description},
            {"VpcId", group.vpc.str()},
            {"OwnerId", settings.account},
            {"IpPermissions", Json::array()},
            {"IpPermissionsEgress", Json::array()},
            {"SecurityGroupArn", arn_of(settings, group.id)}};
  for (const auto& rule : group.rules)
    json[rule.egress ? "IpPermissionsEgress" : "IpPermissions"].push_back(rule_json(settings, rule));
  add_tags(json, group.tags);
  return json;
}

constexpr std::array kGroupFilters{
    Filter<SecurityGroup>{"group-id", [](const Cluster&, const SecurityGroup& g) { return Values{g.id.str()}; }},
    Filter<SecurityGroup>{"group-name", [](const Cluster&, const SecurityGroup& g) { return Values{g.name}; }},
    Filter<SecurityGroup>{"vpc-id", [](const Cluster&, const SecurityGroup& g) { return Values{g.vpc.str()}; }},
    Filter<SecurityGroup>{"description", [](const Cluster&, const SecurityGroup& g) { return Values{g.description}; }},
    Filter<SecurityGroup>{"owner-id", [](const Cluster& c, const SecurityGroup&) { return Values{c.settings().account}; }},
};

// The rules of a request: IpPermissions, or its one rule spelled out in the older members.
Outcome<std::vector<Rule>> rules_of(const Json& input, bool egress) {
  std::vector<Rule> rules;
  Json permissions = input.value("IpPermissions", Json::array());
  if (permissions.empty() && input.contains("IpProtocol")) {
    Json one{{"IpProtocol", text(input, "IpProtocol")},
             {"FromPort", input.value("FromPort", -1)},
             {"ToPort", input.value("ToPort", -1)}};
    if (input.contains("CidrIp")) one["IpRanges"] = Json::array({{{"CidrIp", text(input, "CidrIp")}}});
    permissions.push_back(std::move(one));
  }
  if (permissions.empty()) return api::refuse("MissingParameter", "The request must contain the parameter ipPermissions");
  for (const auto& permission : permissions) {
    Rule rule{.egress = egress,
              .protocol = text(permission, "IpProtocol"),
              .from_port = permission.value("FromPort", -1),
              .to_port = permission.value("ToPort", -1),
              .cidrs = {},
              .groups = {}};
    if (rule.protocol == "6") rule.protocol = "tcp";
    if (rule.protocol == "17") rule.protocol = "udp";
    for (const auto& range : permission.value("IpRanges", Json::array())) {
      rule.cidrs.push_back(text(range, "CidrIp"));
      if (!parse_cidr(rule.cidrs.back()))
        return api::refuse("InvalidParameterValue", fmt::format("CIDR block {} is malformed", rule.cidrs.back()));
    }
    for (const auto& pair : permission.value("UserIdGroupPairs", Json::array())) rule.groups.emplace_back(text(pair, "GroupId"));
    if (!permission.value("Ipv6Ranges", Json::array()).empty() || !permission.value("PrefixListIds", Json::array()).empty()) {
      return api::refuse("NotImplemented", "Berth has no IPv6 ranges and no prefix lists");
    }
    rules.push_back(std::move(rule));
  }
  return rules;
}

bool same(const Rule& a, const Rule& b) {
  return a.egress == b.egress && a.protocol == b.protocol && a.from_port == b.from_port && a.to_port == b.to_port &&
         a.cidrs == b.cidrs && a.groups == b.groups;
}

Outcome<Json> no_group(const std::string& id) {
  return api::refuse("InvalidGroup.NotFound", fmt::format("The security group '{}' does not exist", id));
}

Outcome<Json> authorize(ControlPlane& plane, const Json& input, bool egress) {
  auto rules = rules_of(input, egress);
  if (!rules) return std::unexpected(rules.error());
  const std::string id = text(input, "GroupId");
  if (id.empty()) return api::refuse("MissingParameter", "The request must contain the parameter groupId");
  return plane.with([&](Control& c) -> Outcome<Json> {
    auto found = c.cluster.security_groups().find(SecurityGroupId(id));
    if (found == c.cluster.security_groups().end()) return no_group(id);
    for (const auto& rule : *rules) {
      if (std::ranges::any_of(found->second.rules, [&](const Rule& there) { return same(there, rule); })) {
        return api::refuse("InvalidPermission.Duplicate", "the specified rule already exists");
      }
      for (const auto& group : rule.groups) {
        if (!c.cluster.security_groups().contains(group)) return no_group(group.str());
      }
    }
    SecurityGroup* group = c.cluster.edit(SecurityGroupId(id));
    group->rules.insert(group->rules.end(), rules->begin(), rules->end());
    return Json{{"Return", true}};
  });
}

Outcome<Json> revoke(ControlPlane& plane, const Json& input, bool egress) {
  auto rules = rules_of(input, egress);
  if (!rules) return std::unexpected(rules.error());
  const std::string id = text(input, "GroupId");
  return plane.with([&](Control& c) -> Outcome<Json> {
    auto found = c.cluster.security_groups().find(SecurityGroupId(id));
    if (found == c.cluster.security_groups().end()) return no_group(id);
    for (const auto& rule : *rules) {
      if (!std::ranges::any_of(found->second.rules, [&](const Rule& there) { return same(there, rule); })) {
        return api::refuse("InvalidPermission.NotFound", "The specified rule does not exist in this security group.");
      }
    }
    std::erase_if(c.cluster.edit(SecurityGroupId(id))->rules, [&](const Rule& there) {
      return std::ranges::any_of(*rules, [&](const Rule& rule) { return same(there, rule); });
    });
    return Json{{"Return", true}};
  });
}

// The one that is named, else the default one; empty where there is neither.
VpcId vpc_of_request(const Cluster& cluster, const Json& input) {
  VpcId vpc(text(input, "VpcId"));
  for (const auto& [id, record] : cluster.vpcs()) {
    if (vpc.empty() && record.is_default) vpc = id;
  }
  return vpc;
}

}  // namespace

Outcome<Json> create_security_group(ControlPlane& plane, const CallContext&, const Json& input) {
  auto tags = tags_for(input, "security-group");
  if (!tags) return std::unexpected(tags.error());
  return plane.with([&](Control& c) -> Outcome<Json> {
    const VpcId vpc = vpc_of_request(c.cluster, input);
    if (vpc.empty()) return api::refuse("VPCIdNotSpecified", "No default VPC for this user");
    auto made = c.cluster.create_security_group(c.random, vpc, text(input, "GroupName"), text(input, "Description"), *tags);
    if (!made)
      return refuse_as(made.error(),
                       {{Code::not_found, "InvalidVpcID.NotFound"}, {Code::already_exists, "InvalidGroup.Duplicate"}});
    Json answer{{"GroupId", made->str()}, {"SecurityGroupArn", arn_of(c.cluster.settings(), *made)}};
    add_tags(answer, *tags);
    return answer;
  });
}

Outcome<Json> describe_security_groups(ControlPlane& plane, const CallContext&, const Json& input) {
  return plane.read([&](const Control& c) -> Outcome<Json> {
    Json asked = input;
    if (auto names = texts(input, "GroupNames"); !names.empty()) {
      if (!asked.contains("Filters")) asked["Filters"] = Json::array();
      asked["Filters"].push_back({{"Name", "group-name"}, {"Values", names}});
    }
    for (const auto& id : texts(input, "GroupIds")) {
      if (!c.cluster.security_groups().contains(SecurityGroupId(id))) return no_group(id);
    }
    return describe_records(asked, "SecurityGroups", "GroupIds", c.cluster, c.cluster.security_groups(),
                            std::span<const Filter<SecurityGroup>>(kGroupFilters), "InvalidGroup.NotFound", "security group",
                            [&](const SecurityGroup& group) { return group_json(c.cluster.settings(), group); });
  });
}

Outcome<Json> delete_security_group(ControlPlane& plane, const CallContext&, const Json& input) {
  const SecurityGroupId id(text(input, "GroupId"));
  if (id.empty())
    return api::refuse("MissingParameter", "The request must contain the parameter GroupId: Berth has no EC2-Classic");
  return plane.with([&](Control& c) -> Outcome<Json> {
    auto gone = c.cluster.delete_security_group(id);
    if (!gone) {
      return refuse_as(gone.error(), {{Code::not_found, "InvalidGroup.NotFound"},
                                      {Code::permission_denied, "CannotDelete"},
                                      {Code::failed_precondition, "DependencyViolation"}});
    }
    return Json{{"Return", true}, {"GroupId", id.str()}};
  });
}

Outcome<Json> authorize_ingress(ControlPlane& plane, const CallContext&, const Json& input) {
  return authorize(plane, input, false);
}
Outcome<Json> authorize_egress(ControlPlane& plane, const CallContext&, const Json& input) {
  return authorize(plane, input, true);
}
Outcome<Json> revoke_ingress(ControlPlane& plane, const CallContext&, const Json& input) { return revoke(plane, input, false); }
Outcome<Json> revoke_egress(ControlPlane& plane, const CallContext&, const Json& input) { return revoke(plane, input, true); }

}  // namespace berth::services::ec2

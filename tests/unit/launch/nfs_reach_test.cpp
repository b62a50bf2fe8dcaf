#include "broker/launch/nfs_reach.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::launch {
namespace {

using cluster_sim::SecurityGroup;
using cluster_sim::SecurityGroupId;
using Rule = SecurityGroup::Rule;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class NfsReach : public ::testing::Test {
 protected:
  void group(const std::string& id, std::vector<Rule> rules) {
    groups[SecurityGroupId(id)] = {
        .id = SecurityGroupId(id), .vpc = {}, .name = id, .description = {}, .tags = {}, .rules = std::move(rules)};
  }
  static Rule ingress(const std::string& protocol, int from, int to, std::vector<std::string> cidrs,
                      std::vector<std::string> of = {}) {
    Rule rule{.egress = false, .protocol = protocol, .from_port = from, .to_port = to, .cidrs = std::move(cidrs), .groups = {}};
    for (const auto& id : of) rule.groups.emplace_back(id);
    return rule;
  }
  static Rule all_egress() { return {.egress = true, .protocol = "-1", .cidrs = {"0.0.0.0/0"}, .groups = {}}; }
  std::string why() const { return why_nfs_is_closed(groups, client, target); }

  std::map<SecurityGroupId, SecurityGroup> groups;
  NfsEnd client{cluster_sim::parse_address("10.0.1.17").value(), {SecurityGroupId("sg-task")}};
  NfsEnd target{cluster_sim::parse_address("10.0.1.5").value(), {SecurityGroupId("sg-mount")}};
};

TEST_F(NfsReach, AnInboundRuleForTheClientsAddressOrGroupOpensThePort) {
  group("sg-task", {all_egress()});
  for (const Rule& rule : {ingress("tcp", 2049, 2049, {"10.0.1.0/24"}), ingress("tcp", 2000, 3000, {"0.0.0.0/0"}),
                           ingress("-1", -1, -1, {"10.0.1.17/32"}), ingress("tcp", 2049, 2049, {}, {"sg-task"})}) {
    group("sg-mount", {rule});
    EXPECT_THAT(why(), IsEmpty());
  }
}

TEST_F(NfsReach, WithoutOneTheReasonNamesBothSidesGroups) {
  group("sg-task", {all_egress()});
  for (const Rule& rule :
       {ingress("udp", 2049, 2049, {"0.0.0.0/0"}), ingress("tcp", 22, 22, {"0.0.0.0/0"}),
        ingress("tcp", 2049, 2049, {"10.0.2.0/24"}), ingress("tcp", 2049, 2049, {}, {"sg-other"}), all_egress()}) {
    group("sg-mount", {rule});
    EXPECT_THAT(why(), HasSubstr("(sg-mount) have no inbound rule for TCP port 2049 from 10.0.1.17"));
    EXPECT_THAT(why(), HasSubstr("(sg-task)"));
  }
}

TEST_F(NfsReach, TheClientsOutboundRulesCountToo) {
  group("sg-task", {});
  group("sg-mount", {ingress("tcp", 2049, 2049, {"0.0.0.0/0"})});
  EXPECT_THAT(why(), HasSubstr("(sg-task) have no outbound rule for TCP port 2049 to 10.0.1.5"));
}

TEST_F(NfsReach, AGroupThatIsGoneAllowsNothing) {
  group("sg-task", {all_egress()});
  EXPECT_THAT(why(), HasSubstr("no inbound rule"));
}

}  // namespace
}  // namespace berth::launch

#include "tests/unit/cluster_sim/cloud.hpp"

namespace berth::cluster_sim {
namespace {

using Network = Cloud;

TEST(Cidr, ReadsBlocksAndRefusesWhatIsNone) {
  EXPECT_EQ(parse_cidr("10.0.1.0/24")->str(), "10.0.1.0/24");
  for (const char* wrong : {"10.0.1.1/24", "10.0.1.0", "10.0.1.0/33", "10.0.256.0/24", "010.0.0.0/8", "10.0.1.0/24 ", "",
                            "10.0.1/24", "-1.0.0.0/8"}) {
    EXPECT_FALSE(parse_cidr(wrong)) << wrong;
  }
}

TEST(Cidr, OverlapIsSymmetric) {
  const Cidr wide = *parse_cidr("10.0.0.0/16"), inner = *parse_cidr("10.0.5.0/24"), other = *parse_cidr("10.1.0.0/16");
  EXPECT_TRUE(wide.overlaps(inner));
  EXPECT_TRUE(inner.overlaps(wide));
  EXPECT_FALSE(wide.overlaps(other));
  EXPECT_TRUE(wide.contains(inner));
  EXPECT_FALSE(inner.contains(wide));
}

TEST_F(Network, AddressesBeginBehindTheFourThatAwsKeepsAndEndBeforeTheLast) {
  const SubnetId tiny = cluster.create_subnet(random, vpc, "us-east-1a", *parse_cidr("10.0.9.0/28"), {}).value();
  EXPECT_EQ(cluster.subnets().at(tiny).free_addresses(), 11u);
  std::vector<InterfaceId> made;
  for (int i = 0; i < 11; ++i) made.push_back(cluster.create_interface(random, tiny, 0, {}, "", "", {}).value());
  EXPECT_EQ(address_text(cluster.interfaces().at(made.front()).address), "10.0.9.4");
  EXPECT_EQ(address_text(cluster.interfaces().at(made.back()).address), "10.0.9.14");
  const auto none_left = cluster.create_interface(random, tiny, 0, {}, "", "", {});
  ASSERT_FALSE(none_left);
  EXPECT_EQ(none_left.error().code, Code::resource_exhausted);

  ASSERT_TRUE(cluster.delete_interface(made[3]));
  EXPECT_EQ(address_text(cluster.interfaces().at(cluster.create_interface(random, tiny, 0, {}, "", "", {}).value()).address),
            "10.0.9.7");
}

TEST_F(Network, AnAddressThatIsAskedForMustBeFreeAndUsable) {
  const auto code_of = [&](const char* address) {
    auto made = cluster.create_interface(random, subnet_a, *parse_address(address), {}, "", "", {});
    return made ? std::optional<Code>() : made.error().code;
  };
  EXPECT_EQ(code_of("10.0.1.77"), std::nullopt);
  EXPECT_EQ(code_of("10.0.1.77"), Code::already_exists);
  EXPECT_EQ(code_of("10.0.1.3"), Code::invalid_argument);
  EXPECT_EQ(code_of("10.0.1.255"), Code::invalid_argument);
  EXPECT_EQ(code_of("10.0.2.77"), Code::invalid_argument);
}

TEST_F(Network, SubnetsMustFitTheirVpcAndNotOverlap) {
  EXPECT_EQ(cluster.create_subnet(random, vpc, "us-east-1a", *parse_cidr("10.0.1.128/25"), {}).error().code,
            Code::already_exists);
  EXPECT_EQ(cluster.create_subnet(random, vpc, "us-east-1a", *parse_cidr("10.1.0.0/24"), {}).error().code,
            Code::invalid_argument);
  EXPECT_EQ(cluster.create_subnet(random, vpc, "us-east-1z", *parse_cidr("10.0.3.0/24"), {}).error().code,
            Code::invalid_argument);
  EXPECT_EQ(cluster.create_subnet(random, vpc, "us-east-1a", *parse_cidr("10.0.3.0/29"), {}).error().code,
            Code::invalid_argument);
}

TEST_F(Network, NothingGoesWhileSomethingHangsOnIt) {
  const InterfaceId interface = cluster.create_interface(random, subnet_a, 0, {}, "", "", {}).value();
  EXPECT_EQ(cluster.delete_subnet(subnet_a).error().code, Code::failed_precondition);
  EXPECT_EQ(cluster.delete_vpc(vpc).error().code, Code::failed_precondition);
  ASSERT_TRUE(cluster.delete_interface(interface));
  EXPECT_TRUE(cluster.delete_subnet(subnet_a));
  EXPECT_TRUE(cluster.delete_subnet(subnet_b));
  EXPECT_TRUE(cluster.delete_vpc(vpc));
  EXPECT_TRUE(cluster.security_groups().empty()) << "the default group goes with its VPC";
}

TEST_F(Network, ASecurityGroupInUseStays) {
  const SecurityGroupId group = cluster.create_security_group(random, vpc, "web", "", {}).value();
  const InterfaceId interface = cluster.create_interface(random, subnet_a, 0, {group}, "", "", {}).value();
  EXPECT_EQ(cluster.delete_security_group(group).error().code, Code::failed_precondition);
  ASSERT_TRUE(cluster.delete_interface(interface));
  EXPECT_TRUE(cluster.delete_security_group(group));
}

TEST_F(Network, ARestoredInterfaceKeepsItsAddressWhicheverComesFirst) {
  const InterfaceId id = cluster.create_interface(random, subnet_a, 0, {}, "", "", {}).value();
  for (const bool subnet_first : {true, false}) {
    Cluster again{Settings{.account = "123456789012"}};
    again.restore(cluster.vpcs().at(vpc));
    if (subnet_first) again.restore(cluster.subnets().at(subnet_a));
    again.restore(cluster.interfaces().at(id));
    if (!subnet_first) again.restore(cluster.subnets().at(subnet_a));
    EXPECT_EQ(again.subnets().at(subnet_a).used, cluster.subnets().at(subnet_a).used);
    EXPECT_TRUE(again.take_changes().empty());
  }
}

}  // namespace
}  // namespace berth::cluster_sim

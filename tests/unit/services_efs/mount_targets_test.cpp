#include <gmock/gmock.h>

#include "tests/unit/services_efs/efs_world.hpp"

namespace berth::services::efs {
namespace {

using ::testing::SizeIs;

class MountTargets : public EfsWorld {
 protected:
  MountTargets() : network(world.make_network()), file_system(make_file_system()) {}

  Json in(const cluster_sim::SubnetId& subnet) { return {{"FileSystemId", file_system}, {"SubnetId", subnet.str()}}; }
  std::size_t interfaces() {
    return world.plane().read([](const control::Control& c) { return c.cluster.interfaces().size(); });
  }

  testing::ControlWorld::Network network;
  std::string file_system;
};

TEST_F(MountTargets, OneHasAnInterfaceWithAnAddressOfItsSubnet) {
  const auto made = must("CreateMountTarget", in(network.subnet_a));
  EXPECT_EQ(made["AvailabilityZoneName"], "us-east-1a");
  EXPECT_EQ(made["VpcId"], network.vpc.str());
  EXPECT_EQ(made["IpAddress"], "10.0.1.4");
  EXPECT_EQ(made["LifeCycleState"], "creating");
  world.plane().read([&](const control::Control& c) {
    const auto interface = c.cluster.interfaces().find(cluster_sim::InterfaceId(made["NetworkInterfaceId"].get<std::string>()));
    ASSERT_NE(interface, c.cluster.interfaces().end());
    EXPECT_EQ(interface->second.owner, "mount-target/" + made["MountTargetId"].get<std::string>());
  });
  const auto described = must("DescribeMountTargets", {{"FileSystemId", file_system}})["MountTargets"];
  ASSERT_THAT(described, SizeIs(1));
  EXPECT_EQ(described[0]["LifeCycleState"], "available");
  EXPECT_EQ(must("DescribeFileSystems", {{"FileSystemId", file_system}})["FileSystems"][0]["NumberOfMountTargets"], 1);
}

TEST_F(MountTargets, AZoneHasOneAtMost) {
  must("CreateMountTarget", in(network.subnet_a));
  EXPECT_EQ(code_of("CreateMountTarget", in(network.subnet_a)), "MountTargetConflict");
  must("CreateMountTarget", in(network.subnet_b));
  EXPECT_EQ(interfaces(), 2U);
}

TEST_F(MountTargets, AllOfAFileSystemAreInOneVpc) {
  must("CreateMountTarget", in(network.subnet_a));
  cluster_sim::SubnetId elsewhere;
  world.decide([&](control::Control& c) {
    const auto vpc = c.cluster.create_vpc(c.random, *cluster_sim::parse_cidr("10.9.0.0/16"), {}).value();
    elsewhere = c.cluster.create_subnet(c.random, vpc, "us-east-1b", *cluster_sim::parse_cidr("10.9.1.0/24"), {}).value();
  });
  EXPECT_EQ(code_of("CreateMountTarget", in(elsewhere)), "MountTargetConflict");
}

TEST_F(MountTargets, AnAddressMustBeFreeAndOfTheSubnet) {
  auto input = in(network.subnet_a);
  input["IpAddress"] = "10.0.2.9";
  EXPECT_EQ(code_of("CreateMountTarget", input), "BadRequest");
  world.decide([&](control::Control& c) {
    ASSERT_TRUE(c.cluster.create_interface(c.random, network.subnet_a, *cluster_sim::parse_address("10.0.1.9"), {}, "", "", {}));
  });
  input["IpAddress"] = "10.0.1.9";
  EXPECT_EQ(code_of("CreateMountTarget", input), "IpAddressInUse");
  EXPECT_EQ(interfaces(), 1U);
  input["IpAddress"] = "10.0.1.10";
  EXPECT_EQ(must("CreateMountTarget", input)["IpAddress"], "10.0.1.10");
}

TEST_F(MountTargets, WhatTheyReferToMustBeThere) {
  EXPECT_EQ(code_of("CreateMountTarget", in(cluster_sim::SubnetId("subnet-0123456789abcdef0"))), "SubnetNotFound");
  EXPECT_EQ(code_of("CreateMountTarget", {{"FileSystemId", "fs-0123456789abcdef0"}, {"SubnetId", network.subnet_a.str()}}),
            "FileSystemNotFound");
  auto input = in(network.subnet_a);
  input["SecurityGroups"] = {"sg-0123456789abcdef0"};
  EXPECT_EQ(code_of("CreateMountTarget", input), "SecurityGroupNotFound");
  input["SecurityGroups"] = {"sg-1", "sg-2", "sg-3", "sg-4", "sg-5", "sg-6"};
  EXPECT_EQ(code_of("CreateMountTarget", input), "SecurityGroupLimitExceeded");
  EXPECT_EQ(interfaces(), 0U);
}

TEST_F(MountTargets, AFileSystemWithOneCanNotBeDeleted) {
  const auto id = must("CreateMountTarget", in(network.subnet_a))["MountTargetId"];
  EXPECT_EQ(code_of("DeleteFileSystem", {{"FileSystemId", file_system}}), "FileSystemInUse");
  must("DeleteMountTarget", {{"MountTargetId", id}});
  EXPECT_EQ(interfaces(), 0U);
  EXPECT_EQ(code_of("DescribeMountTargets", {{"MountTargetId", id}}), "MountTargetNotFound");
  must("DeleteFileSystem", {{"FileSystemId", file_system}});
}

TEST_F(MountTargets, OfAOneZoneFileSystemIsInItsZone) {
  const auto one_zone =
      must("CreateFileSystem", {{"CreationToken", "one"}, {"AvailabilityZoneName", "us-east-1b"}})["FileSystemId"];
  EXPECT_EQ(code_of("CreateMountTarget", {{"FileSystemId", one_zone}, {"SubnetId", network.subnet_a.str()}}),
            "AvailabilityZonesMismatch");
  must("CreateMountTarget", {{"FileSystemId", one_zone}, {"SubnetId", network.subnet_b.str()}});
}

TEST_F(MountTargets, DescribeTakesExactlyOneSelector) {
  EXPECT_EQ(code_of("DescribeMountTargets", Json::object()), "BadRequest");
  EXPECT_EQ(code_of("DescribeMountTargets", {{"FileSystemId", file_system}, {"MountTargetId", "fsmt-1"}}), "BadRequest");
  const auto access_point = must("CreateAccessPoint", {{"FileSystemId", file_system}, {"ClientToken", "c"}})["AccessPointId"];
  must("CreateMountTarget", in(network.subnet_a));
  EXPECT_THAT(must("DescribeMountTargets", {{"AccessPointId", access_point}})["MountTargets"], SizeIs(1));
}

TEST_F(MountTargets, SecurityGroupsCanBeChanged) {
  cluster_sim::SecurityGroupId group;
  world.decide(
      [&](control::Control& c) { group = c.cluster.create_security_group(c.random, network.vpc, "nfs", "nfs", {}).value(); });
  const auto id = must("CreateMountTarget", in(network.subnet_a))["MountTargetId"];
  must("ModifyMountTargetSecurityGroups", {{"MountTargetId", id}, {"SecurityGroups", {group.str()}}});
  EXPECT_EQ(must("DescribeMountTargetSecurityGroups", {{"MountTargetId", id}})["SecurityGroups"], Json::array({group.str()}));
  EXPECT_EQ(code_of("ModifyMountTargetSecurityGroups", {{"MountTargetId", id}, {"SecurityGroups", {"sg-0123456789abcdef0"}}}),
            "SecurityGroupNotFound");
}

TEST_F(MountTargets, MakingAndDeletingOneAsksForTheRightsOfLiveMountsAgain) {
  const auto id = must("CreateMountTarget", in(network.subnet_a))["MountTargetId"];
  EXPECT_EQ(access_changes, 1);
  must("DeleteMountTarget", {{"MountTargetId", id}});
  EXPECT_EQ(access_changes, 2);
}

}  // namespace
}  // namespace berth::services::efs

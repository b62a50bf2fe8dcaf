#include "tests/unit/services_ec2/ec2_world.hpp"

#include "broker/api/registry.hpp"

namespace berth::services::ec2 {
namespace {

using Ec2 = Ec2World;

TEST_F(Ec2, EveryRowIsAnOperationOfItsTable) {
  const api::Registry registry({make_ec2(world.plane()), services::autoscaling::make_autoscaling(world.plane())});
  EXPECT_NE(registry.by_model("ec2")->row("RunInstances"), nullptr);
  EXPECT_NE(registry.by_model("autoscaling")->row("SetDesiredCapacity"), nullptr);
}

TEST_F(Ec2, AVpcIsMadeShownAndDeleted) {
  const Json tags = {{{"ResourceType", "vpc"}, {"Tags", {{{"Key", "Name"}, {"Value", "main"}}}}}};
  const Json vpc = must("CreateVpc", {{"CidrBlock", "10.0.0.0/16"}, {"TagSpecifications", tags}})["Vpc"];
  EXPECT_EQ(vpc["CidrBlock"], "10.0.0.0/16");
  EXPECT_EQ(vpc["OwnerId"], testing::kAccount);
  const auto found = [&](const char* filter, const char* value) {
    return must("DescribeVpcs", {{"Filters", {{{"Name", filter}, {"Values", {value}}}}}})["Vpcs"].size();
  };
  EXPECT_EQ(found("tag:Name", "ma*"), 1u);
  EXPECT_EQ(found("tag:Name", "other"), 0u);
  EXPECT_EQ(found("tag-key", "Name"), 1u);
  EXPECT_EQ(found("cidr", "10.0.0.0/16"), 1u);
  EXPECT_EQ(code_of("DescribeVpcs", {{"Filters", {{{"Name", "nonsense"}, {"Values", {"x"}}}}}}), "InvalidParameterValue");
  EXPECT_EQ(code_of("DescribeVpcs", {{"VpcIds", {"vpc-none"}}}), "InvalidVpcID.NotFound");
  must("DeleteVpc", {{"VpcId", vpc["VpcId"]}});
  EXPECT_EQ(code_of("DeleteVpc", {{"VpcId", vpc["VpcId"]}}), "InvalidVpcID.NotFound");
}

TEST_F(Ec2, SubnetsAnswerWithTheirOwnErrors) {
  const std::string vpc = make_vpc(), subnet = make_subnet(vpc);
  const auto code = [&](const char* block, const char* zone = "us-east-1a") {
    return code_of("CreateSubnet", {{"VpcId", vpc}, {"CidrBlock", block}, {"AvailabilityZone", zone}});
  };
  EXPECT_EQ(code("10.0.1.0/25"), "InvalidSubnet.Conflict");
  EXPECT_EQ(code("10.9.0.0/24"), "InvalidSubnet.Range");
  EXPECT_EQ(code("10.0.2.0/30"), "InvalidSubnet.Range");
  EXPECT_EQ(code("10.0.2.1/24"), "InvalidParameterValue");
  EXPECT_EQ(code("10.0.2.0/24", "us-east-1q"), "InvalidParameterValue");
  EXPECT_EQ(code_of("CreateSubnet", {{"VpcId", "vpc-none"}, {"CidrBlock", "10.0.2.0/24"}}), "InvalidVpcID.NotFound");
  EXPECT_EQ(code_of("DeleteVpc", {{"VpcId", vpc}}), "DependencyViolation");
  const Json shown = must("DescribeSubnets", {{"Filters", {{{"Name", "vpc-id"}, {"Values", {vpc}}}}}})["Subnets"].at(0);
  EXPECT_EQ(shown["SubnetId"], subnet);
  EXPECT_EQ(shown["AvailableIpAddressCount"], 251);
  EXPECT_EQ(shown["AvailabilityZoneId"], "use1-az1");
  const Json by_zone_id =
      must("CreateSubnet", {{"VpcId", vpc}, {"CidrBlock", "10.0.7.0/24"}, {"AvailabilityZoneId", "use1-az2"}})["Subnet"];
  EXPECT_EQ(by_zone_id["AvailabilityZone"], "us-east-1b");
}

TEST_F(Ec2, InterfacesTakeAnAddressAndGiveItBack) {
  const std::string subnet = make_subnet(make_vpc());
  const Json made = must("CreateNetworkInterface", {{"SubnetId", subnet}, {"PrivateIpAddress", "10.0.1.50"}})["NetworkInterface"];
  EXPECT_EQ(made["PrivateIpAddress"], "10.0.1.50");
  EXPECT_EQ(made["Groups"].at(0)["GroupName"], "default");
  EXPECT_EQ(code_of("CreateNetworkInterface", {{"SubnetId", subnet}, {"PrivateIpAddress", "10.0.1.50"}}),
            "InvalidIPAddress.InUse");
  EXPECT_EQ(code_of("CreateNetworkInterface", {{"SubnetId", subnet}, {"PrivateIpAddress", "10.0.1.1"}}), "InvalidParameterValue");
  EXPECT_EQ(code_of("CreateNetworkInterface", {{"SubnetId", "subnet-x"}}), "InvalidSubnetID.NotFound");
  EXPECT_EQ(code_of("CreateNetworkInterface", {{"SubnetId", subnet}, {"Groups", {"sg-x"}}}), "InvalidGroup.NotFound");
  EXPECT_EQ(code_of("DeleteSubnet", {{"SubnetId", subnet}}), "DependencyViolation");
  must("DeleteNetworkInterface", {{"NetworkInterfaceId", made["NetworkInterfaceId"]}});
  must("DeleteSubnet", {{"SubnetId", subnet}});
}

TEST_F(Ec2, SecurityGroupRulesAreKeptOnce) {
  const std::string vpc = make_vpc();
  const std::string group = must("CreateSecurityGroup", {{"VpcId", vpc}, {"GroupName", "web"}, {"Description", "d"}})["GroupId"];
  EXPECT_EQ(code_of("CreateSecurityGroup", {{"VpcId", vpc}, {"GroupName", "web"}, {"Description", "d"}}),
            "InvalidGroup.Duplicate");
  const Json rule{{"GroupId", group},
                  {"IpPermissions",
                   {{{"IpProtocol", "tcp"}, {"FromPort", 2049}, {"ToPort", 2049}, {"IpRanges", {{{"CidrIp", "10.0.0.0/16"}}}}}}}};
  must("AuthorizeSecurityGroupIngress", rule);
  EXPECT_EQ(code_of("AuthorizeSecurityGroupIngress", rule), "InvalidPermission.Duplicate");
  const Json shown = must("DescribeSecurityGroups", {{"GroupIds", {group}}})["SecurityGroups"].at(0);
  EXPECT_EQ(shown["IpPermissions"].at(0)["FromPort"], 2049);
  must("RevokeSecurityGroupIngress", rule);
  EXPECT_EQ(code_of("RevokeSecurityGroupIngress", rule), "InvalidPermission.NotFound");
  must("DeleteSecurityGroup", {{"GroupId", group}});
  EXPECT_EQ(code_of("DeleteSecurityGroup", {{"GroupId", group}}), "InvalidGroup.NotFound");
}

TEST_F(Ec2, LaunchTemplatesKeepTheirVersions) {
  const Json data{{"ImageId", "resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2/recommended/image_id"},
                  {"InstanceType", "m5.large"}};
  const Json made = must("CreateLaunchTemplate", {{"LaunchTemplateName", "ecs"}, {"LaunchTemplateData", data}})["LaunchTemplate"];
  EXPECT_EQ(made["LatestVersionNumber"], 1);
  EXPECT_EQ(code_of("CreateLaunchTemplate", {{"LaunchTemplateName", "ecs"}, {"LaunchTemplateData", data}}),
            "InvalidLaunchTemplateName.AlreadyExistsException");
  must("CreateLaunchTemplateVersion",
       {{"LaunchTemplateName", "ecs"}, {"SourceVersion", "1"}, {"LaunchTemplateData", {{"InstanceType", "t2.medium"}}}});
  const Json latest =
      must("DescribeLaunchTemplateVersions", {{"LaunchTemplateName", "ecs"}, {"Versions", {"$Latest"}}})["LaunchTemplateVersions"]
          .at(0);
  EXPECT_EQ(latest["VersionNumber"], 2);
  EXPECT_EQ(latest["LaunchTemplateData"]["InstanceType"], "t2.medium");
  EXPECT_EQ(latest["LaunchTemplateData"]["ImageId"], data["ImageId"]) << "as it was given";
  EXPECT_EQ(code_of("CreateLaunchTemplate", {{"LaunchTemplateName", "x"}, {"LaunchTemplateData", {{"UserData", "not base64!"}}}}),
            "InvalidUserData.Malformed");
  EXPECT_EQ(code_of("DescribeLaunchTemplates", {{"LaunchTemplateNames", {"none"}}}),
            "InvalidLaunchTemplateName.NotFoundException");
  must("DeleteLaunchTemplate", {{"LaunchTemplateName", "ecs"}});
}

TEST_F(Ec2, InstancesAreLaunchedOnceATokenAndEnd) {
  const std::string subnet = make_subnet(make_vpc());
  const Json input{{"ImageId", "ami-0ec50000000000001"},
                   {"InstanceType", "m5.large"},
                   {"SubnetId", subnet},
                   {"MinCount", 2},
                   {"MaxCount", 2},
                   {"ClientToken", "t"}};
  const Json first = must("RunInstances", input);
  ASSERT_EQ(first["Instances"].size(), 2u);
  EXPECT_EQ(must("RunInstances", input)["Instances"].size(), 2u);
  EXPECT_EQ(must("DescribeInstances", Json::object())["Reservations"].size(), 2u);
  Json wrong = input;
  wrong["ClientToken"] = "other";
  wrong["ImageId"] = "ami-0123456789abcdef0";
  EXPECT_EQ(code_of("RunInstances", wrong), "InvalidAMIID.NotFound");
  wrong["ImageId"] = "image";
  EXPECT_EQ(code_of("RunInstances", wrong), "InvalidAMIID.Malformed");
  wrong["ImageId"] = input["ImageId"];
  wrong["InstanceType"] = "p99.huge";
  EXPECT_EQ(code_of("RunInstances", wrong), "InvalidParameterValue");
  const Json ended =
      must("TerminateInstances", {{"InstanceIds", {first["Instances"][0]["InstanceId"]}}})["TerminatingInstances"].at(0);
  EXPECT_EQ(ended["CurrentState"]["Name"], "shutting-down");
  EXPECT_EQ(code_of("TerminateInstances", {{"InstanceIds", {"i-none"}}}), "InvalidInstanceID.NotFound");
}

TEST_F(Ec2, WhoNamesNoSubnetGetsTheDefaultOneOfTheZone) {
  const std::string vpc = make_vpc(), b = make_subnet(vpc, "10.0.2.0/24", "us-east-1b"), a = make_subnet(vpc);
  Json input{{"ImageId", "ami-0ec50000000000001"}, {"InstanceType", "m5.large"}, {"MinCount", 1}, {"MaxCount", 1}};
  EXPECT_EQ(code_of("RunInstances", input), "MissingInput");  // the VPC is not the default one
  EXPECT_EQ(code_of("CreateSecurityGroup", {{"GroupName", "g"}, {"Description", "d"}}), "VPCIdNotSpecified");
  world.plane().apply([&](control::Control& c) { c.cluster.edit(cluster_sim::VpcId(vpc))->is_default = true; });
  EXPECT_EQ(must("RunInstances", input)["Instances"].at(0)["SubnetId"], a);
  input["Placement"] = {{"AvailabilityZone", "us-east-1b"}};
  EXPECT_EQ(must("RunInstances", input)["Instances"].at(0)["SubnetId"], b);
  input["Placement"] = {{"AvailabilityZone", "us-east-1z"}};
  EXPECT_EQ(code_of("RunInstances", input), "MissingInput");
  const auto group = must("CreateSecurityGroup", {{"GroupName", "g"}, {"Description", "d"}})["GroupId"];
  EXPECT_EQ(must("DescribeSecurityGroups", {{"GroupIds", {group}}})["SecurityGroups"].at(0)["VpcId"], vpc);
}

TEST_F(Ec2, DryRunChangesNothing) {
  EXPECT_EQ(code_of("CreateVpc", {{"CidrBlock", "10.0.0.0/16"}, {"DryRun", true}}), "DryRunOperation");
  EXPECT_TRUE(must("DescribeVpcs", Json::object())["Vpcs"].empty());
}

TEST_F(Ec2, TagsComeAndGo) {
  const std::string vpc = make_vpc();
  must("CreateTags", {{"Resources", {vpc}}, {"Tags", {{{"Key", "team"}, {"Value", "x"}}}}});
  EXPECT_EQ(must("DescribeTags", {{"Filters", {{{"Name", "resource-id"}, {"Values", {vpc}}}}}})["Tags"].at(0)["Value"], "x");
  must("DeleteTags", {{"Resources", {vpc}}, {"Tags", {{{"Key", "team"}, {"Value", "y"}}}}});
  EXPECT_EQ(must("DescribeTags", Json::object())["Tags"].size(), 1u) << "another value stays";
  must("DeleteTags", {{"Resources", {vpc}}, {"Tags", {{{"Key", "team"}}}}});
  EXPECT_TRUE(must("DescribeTags", Json::object())["Tags"].empty());
  EXPECT_EQ(code_of("CreateTags", {{"Resources", {"vpc-none"}}, {"Tags", {{{"Key", "a"}}}}}), "InvalidID");
}

TEST_F(Ec2, ListsComeInPages) {
  const std::string vpc = make_vpc();
  for (int i = 1; i <= 5; ++i) make_subnet(vpc, "10.0." + std::to_string(i) + ".0/24");
  std::set<std::string> seen;
  Json input{{"MaxResults", 2}};
  int pages = 0;
  do {
    const Json page = must("DescribeSubnets", input);
    for (const auto& subnet : page["Subnets"]) seen.insert(subnet["SubnetId"].get<std::string>());
    input["NextToken"] = page.value("NextToken", "");
    ++pages;
  } while (input["NextToken"] != "");
  EXPECT_EQ(pages, 3);
  EXPECT_EQ(seen.size(), 5u);
}

TEST_F(Ec2, TheRegionShowsWhatItOffers) {
  EXPECT_EQ(must("DescribeAvailabilityZones", Json::object())["AvailabilityZones"].size(), 2u);
  EXPECT_EQ(must("DescribeRegions", Json::object())["Regions"].at(0)["RegionName"], "us-east-1");
  EXPECT_EQ(must("DescribeInstanceTypes", {{"InstanceTypes", {"m5.large"}}})["InstanceTypes"].at(
                0)["NetworkInfo"]["MaximumNetworkInterfaces"],
            3);
  EXPECT_EQ(must("DescribeImages", {{"Filters", {{{"Name", "name"}, {"Values", {"*ecs*"}}}}}})["Images"].size(), 1u);
  EXPECT_EQ(code_of("DescribeImages", {{"ImageIds", {"ami-none"}}}), "InvalidAMIID.NotFound");
}

}  // namespace
}  // namespace berth::services::ec2

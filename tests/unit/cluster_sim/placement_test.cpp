#include "tests/unit/cluster_sim/cloud.hpp"

#include <algorithm>

namespace berth::cluster_sim {
namespace {

using Placement = Cloud;
using Kind = PlacementStrategy::Kind;

TEST(FargateSizes, AreThoseOfTheTable) {
  for (const auto& [cpu, memory] : std::vector<std::pair<int, int>>{{256, 512},
                                                                    {256, 2048},
                                                                    {512, 1024},
                                                                    {1024, 8192},
                                                                    {2048, 16384},
                                                                    {4096, 30720},
                                                                    {8192, 61440},
                                                                    {8192, 20480},
                                                                    {16384, 122880},
                                                                    {16384, 40960}}) {
    EXPECT_TRUE(fargate_size_valid(cpu, memory)) << cpu << " " << memory;
  }
  for (const auto& [cpu, memory] : std::vector<std::pair<int, int>>{{256, 4096},
                                                                    {256, 1536},
                                                                    {512, 512},
                                                                    {1024, 1024},
                                                                    {1024, 9216},
                                                                    {2048, 4000},
                                                                    {8192, 17408},
                                                                    {16384, 33792},
                                                                    {300, 512},
                                                                    {0, 0}}) {
    EXPECT_FALSE(fargate_size_valid(cpu, memory)) << cpu << " " << memory;
  }
}

TEST_F(Placement, EachReasonIsSaidOfTheInstanceThatHasIt) {
  const ContainerInstanceId id = add_instance("t2.medium", subnet_a);
  const auto reason_of = [&](const RunTask& wanted) {
    const auto result = run(wanted);
    EXPECT_TRUE(result.tasks.empty());
    EXPECT_EQ(result.failures.size(), 1u);
    EXPECT_EQ(result.failures.at(0).arn, cluster.container_instances().at(id).arn);
    return result.failures.at(0).reason;
  };
  RunTask wanted = request();
  wanted.requirements.cpu = 2049;
  EXPECT_EQ(reason_of(wanted), "RESOURCE:CPU");
  wanted = request();
  wanted.requirements.memory_mib = 4097;
  EXPECT_EQ(reason_of(wanted), "RESOURCE:MEMORY");
  wanted = request();
  wanted.requirements.ports = {{22, false}};
  EXPECT_EQ(reason_of(wanted), "RESOURCE:PORTS");
  EXPECT_EQ(reason_of(awsvpc_request({subnet_b})), "LOCATION");
  wanted = request();
  wanted.requirements.attributes = {"ecs.capability.task-eni"};
  EXPECT_EQ(reason_of(wanted), "ATTRIBUTE");
  wanted.requirements.attributes = {"ecs.instance-type=m5.large"};
  EXPECT_EQ(reason_of(wanted), "ATTRIBUTE");
  wanted = request();
  wanted.constraints = {{PlacementConstraint::Kind::member_of, "attribute:ecs.instance-type =~ m5.*"}};
  EXPECT_EQ(reason_of(wanted), "MemberOf placement constraint unsatisfied.");

  ASSERT_TRUE(cluster.set_container_instance_status(now, id, true));
  EXPECT_EQ(reason_of(request()), "INACTIVE");
  ASSERT_TRUE(cluster.set_container_instance_status(now, id, false));
  cluster.set_agent_connected(id, false);
  EXPECT_EQ(reason_of(request()), "AGENT");
}

TEST_F(Placement, TheFirstReasonLeadsAndTheOthersFollow) {
  add_instance("t2.medium", subnet_a);
  RunTask wanted = awsvpc_request({subnet_b});
  wanted.requirements.cpu = 9999;
  wanted.requirements.memory_mib = 9999;
  const auto failure = run(wanted).failures.at(0);
  EXPECT_EQ(failure.reason, "RESOURCE:CPU");
  EXPECT_NE(failure.detail.find("RESOURCE:MEMORY"), std::string::npos);
  EXPECT_NE(failure.detail.find("LOCATION"), std::string::npos);
}

TEST_F(Placement, PartialPlacementGivesTasksAndFailures) {
  add_instance("t2.medium", subnet_a);
  RunTask wanted = request(5);
  wanted.requirements.cpu = 1024;
  const auto result = run(wanted);
  EXPECT_EQ(result.tasks.size(), 2u);
  EXPECT_EQ(result.failures.size(), 1u);
}

TEST_F(Placement, AwsvpcTasksTakeAllInterfacesButTheFirst) {
  const ContainerInstanceId id = add_instance("m5.large", subnet_a);
  const auto result = run(awsvpc_request({subnet_a}, 3));
  EXPECT_EQ(result.tasks.size(), 2u);
  EXPECT_EQ(result.failures.at(0).reason, "RESOURCE:ENI");
  EXPECT_EQ(cluster.remaining(id).interfaces, 0);
  EXPECT_EQ(run(request()).tasks.size(), 1u) << "tasks of other network modes need none";
}

TEST_F(Placement, HostPortsAreTakenOncePerProtocol) {
  add_instance("m5.large", subnet_a);
  RunTask wanted = request();
  wanted.requirements.ports = {{80, false}};
  EXPECT_EQ(run(wanted).tasks.size(), 1u);
  EXPECT_EQ(run(wanted).failures.at(0).reason, "RESOURCE:PORTS");
  wanted.requirements.ports = {{80, true}};
  EXPECT_EQ(run(wanted).tasks.size(), 1u);
  wanted.requirements.ports = {{0, false}};
  EXPECT_EQ(run(wanted).tasks.size(), 1u);
  EXPECT_EQ(run(wanted).tasks.size(), 1u) << "port 0 is any port";
}

TEST_F(Placement, BinpackTakesTheFullestThatStillFits) {
  const ContainerInstanceId wide = add_instance("m5.xlarge", subnet_a), narrow = add_instance("m5.large", subnet_a);
  RunTask wanted = request();
  wanted.strategy = {{Kind::binpack, "cpu"}};
  wanted.requirements.cpu = 1024;
  EXPECT_EQ(place_of(run(wanted).tasks.at(0)), narrow);
  EXPECT_EQ(place_of(run(wanted).tasks.at(0)), narrow);
  EXPECT_EQ(place_of(run(wanted).tasks.at(0)), wide);
}

TEST_F(Placement, SpreadOverZonesThenBinpackWithinThem) {
  const ContainerInstanceId a_wide = add_instance("m5.xlarge", subnet_a), a_narrow = add_instance("m5.large", subnet_a);
  const ContainerInstanceId b = add_instance("m5.xlarge", subnet_b);
  RunTask wanted = request(4);
  wanted.strategy = {{Kind::spread, "attribute:ecs.availability-zone"}, {Kind::binpack, "memory"}};
  std::vector<ContainerInstanceId> places;
  for (const auto& id : run(wanted).tasks) places.push_back(place_of(id));
  EXPECT_EQ(std::ranges::count(places, a_narrow), 2);
  EXPECT_EQ(std::ranges::count(places, b), 2);
  EXPECT_EQ(std::ranges::count(places, a_wide), 0);
}

TEST_F(Placement, SpreadOverInstancesCountsTheGroupAlone) {
  const ContainerInstanceId first = add_instance("m5.large", subnet_a), second = add_instance("m5.large", subnet_a);
  RunTask other = request();
  other.group = "service:other";
  other.instances = {first};
  for (int i = 0; i < 3; ++i) run(other);
  RunTask wanted = request(2);
  wanted.strategy = {{Kind::spread, "instanceId"}};
  const auto result = run(wanted);
  EXPECT_NE(place_of(result.tasks.at(0)), place_of(result.tasks.at(1)));
  EXPECT_EQ(task(result.tasks.at(0)).group, "family:web");
  EXPECT_TRUE(place_of(result.tasks.at(0)) == second || place_of(result.tasks.at(1)) == second);
}

TEST_F(Placement, DistinctInstanceHoldsWithinACallAndAcrossCalls) {
  add_instance("m5.large", subnet_a);
  add_instance("m5.large", subnet_b);
  RunTask wanted = request(3);
  wanted.constraints = {{PlacementConstraint::Kind::distinct_instance, ""}};
  const auto result = run(wanted);
  EXPECT_EQ(result.tasks.size(), 2u);
  EXPECT_EQ(result.failures.size(), 2u);
  EXPECT_EQ(run(wanted).tasks.size(), 0u);
}

TEST_F(Placement, StartTaskSaysWhatIsMissingOrInactive) {
  const ContainerInstanceId good = add_instance("m5.large", subnet_a), gone = add_instance("m5.large", subnet_a);
  ASSERT_TRUE(cluster.deregister_container_instance(now, gone, false));
  RunTask wanted = request();
  wanted.instances = {good, gone, ContainerInstanceId("feed")};
  wanted.constraints = {{PlacementConstraint::Kind::member_of, "attribute:absent exists"}};  // not asked
  const auto result = run(wanted);
  ASSERT_EQ(result.tasks.size(), 1u);
  EXPECT_EQ(place_of(result.tasks[0]), good);
  ASSERT_EQ(result.failures.size(), 2u);
  EXPECT_EQ(result.failures[0].reason, "INACTIVE");
  EXPECT_EQ(result.failures[1].reason, "MISSING");
  EXPECT_EQ(result.failures[1].arn, "arn:aws:ecs:us-east-1:123456789012:container-instance/demo/feed");
}

TEST_F(Placement, CallsThatAreWrongByThemselvesAreErrors) {
  EXPECT_EQ(error_of(request()), "No Container Instances were found in your cluster.");
  add_instance("m5.large", subnet_a);
  RunTask wanted = request();
  wanted.cluster = ClusterName("none");
  EXPECT_EQ(error_of(wanted), "Cluster not found.");
  wanted = awsvpc_request({});
  EXPECT_EQ(error_of(wanted), "Network Configuration must be provided when networkMode 'awsvpc' is specified.");
  wanted = awsvpc_request({SubnetId("subnet-none")});
  EXPECT_NE(error_of(wanted).find("InvalidSubnetID.NotFound"), std::string::npos);
  wanted = request();
  wanted.strategy = {{Kind::binpack, "disk"}};
  EXPECT_EQ(error_of(wanted), "placement strategy field `disk` is not valid");
  wanted = request();
  wanted.constraints = {{PlacementConstraint::Kind::member_of, "attribute:"}};
  EXPECT_NE(error_of(wanted), "placed");
}

class FargatePlacement : public Cloud {
 protected:
  RunTask fargate(std::vector<SubnetId> subnets, int count = 1) const {
    RunTask wanted = awsvpc_request(std::move(subnets), count);
    wanted.launch_type = LaunchType::fargate;
    return wanted;
  }
};

TEST_F(FargatePlacement, SpreadsOverTheZonesOfTheSubnets) {
  const auto result = run(fargate({subnet_a, subnet_b}, 4));
  std::map<std::string, int> zones;
  for (const auto& id : result.tasks) ++zones[task(id).zone];
  EXPECT_EQ(zones, (std::map<std::string, int>{{"us-east-1a", 2}, {"us-east-1b", 2}}));
  const Task& first = task(result.tasks.at(0));
  EXPECT_EQ(cluster.interfaces().at(*first.interface).owner, "task/" + first.id.str());
  EXPECT_EQ(first.address, "10.0.1.4");
  EXPECT_FALSE(first.container_instance);
}

TEST_F(FargatePlacement, RefusesSizesConstraintsAndStrategies) {
  RunTask wanted = fargate({subnet_a});
  wanted.requirements.memory_mib = 4096;
  EXPECT_EQ(error_of(wanted), "No Fargate configuration exists for given values.");
  wanted = fargate({subnet_a});
  wanted.constraints = {{PlacementConstraint::Kind::distinct_instance, ""}};
  EXPECT_EQ(error_of(wanted), "Placement constraints are not supported with FARGATE launch type.");
  wanted = fargate({subnet_a});
  wanted.strategy = {{Kind::random, ""}};
  EXPECT_EQ(error_of(wanted), "Placement strategies are not supported with FARGATE launch type.");
}

TEST_F(FargatePlacement, ASubnetWithoutAddressesStopsTheTaskAndNotTheCall) {
  const SubnetId tiny = cluster.create_subnet(random, vpc, "us-east-1a", *parse_cidr("10.0.9.0/28"), {}).value();
  RunTask wanted = fargate({tiny}, 12);
  const auto result = run(wanted);
  ASSERT_EQ(result.tasks.size(), 12u);
  const Task& last = task(result.tasks.back());
  EXPECT_EQ(last.last, TaskStatus::stopped);
  EXPECT_EQ(last.stop_code, "TaskFailedToStart");
  EXPECT_EQ(last.stopped_reason, "Unexpected EC2 error while attempting to Create Network Interface in subnet '" + tiny.str() +
                                     "': InsufficientFreeAddressesInSubnet");
  EXPECT_EQ(cluster.take_effects().size(), 11u) << "what never starts is not launched";
  wanted = fargate({tiny, subnet_b});
  EXPECT_EQ(task(run(wanted).tasks.at(0)).zone, "us-east-1b") << "a zone with addresses goes before one without";
}

TEST_F(FargatePlacement, CapacityProvidersShareByBaseAndWeight) {
  RunTask wanted = awsvpc_request({subnet_a}, 10);
  wanted.capacity = {{"FARGATE", 2, 1}, {"FARGATE_SPOT", 0, 3}};
  std::map<std::string, int> counts;
  for (const auto& id : run(wanted).tasks) ++counts[task(id).capacity_provider];
  EXPECT_EQ(counts, (std::map<std::string, int>{{"FARGATE", 4}, {"FARGATE_SPOT", 6}}));
  wanted.capacity = {{"FARGATE", 0, 0}, {"FARGATE_SPOT", 0, 0}};
  EXPECT_NE(error_of(wanted), "placed");
  wanted.capacity = {{"FARGATE_SPOT", 0, 0}};
  EXPECT_EQ(run(wanted).tasks.size(), 10u) << "a single provider needs no weight";
  wanted.capacity = {{"mine", 0, 1}};
  EXPECT_NE(error_of(wanted).find("only FARGATE"), std::string::npos);
}

}  // namespace
}  // namespace berth::cluster_sim

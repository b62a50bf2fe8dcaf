#include "tests/unit/cluster_sim/cloud.hpp"

#include <algorithm>

namespace berth::cluster_sim {
namespace {

class Groups : public Cloud {
 protected:
  Groups() {
    const LaunchTemplateData data{.image_id = std::string(kEcsOptimizedImageId), .instance_type = "m5.large"};
    launch_template = cluster.create_launch_template(now, random, "ecs", data, {}).value();
  }
  AutoScalingGroup wanted(int min, int max, int desired) const {
    AutoScalingGroup group;
    group.name = name;
    group.launch_template = launch_template;
    group.subnets = {subnet_a, subnet_b};
    group.min_size = min;
    group.max_size = max;
    group.desired = desired;
    return group;
  }
  // `zone type` of each live instance, sorted.
  std::vector<std::string> live() const {
    std::vector<std::string> found;
    for (const auto& [id, instance] : cluster.instances()) {
      if (alive(instance)) found.push_back(instance.zone + " " + instance.type);
    }
    std::ranges::sort(found);
    return found;
  }

  GroupName name{"ecs"};
  LaunchTemplateId launch_template;
};

TEST_F(Groups, TwoSpotPoolsGiveOneOfEachTypeInEachZone) {
  AutoScalingGroup group = wanted(0, 8, 4);
  group.instance_types = {"m5.large", "t2.medium"};
  group.on_demand_percentage = 0;
  group.spot_pools = 2;
  ASSERT_TRUE(cluster.create_group(now, random, group));
  EXPECT_EQ(live(), (std::vector<std::string>{"us-east-1a m5.large", "us-east-1a t2.medium", "us-east-1b m5.large",
                                              "us-east-1b t2.medium"}));
  const auto effects = cluster.take_effects();
  EXPECT_EQ(std::ranges::count_if(effects, [](const Effect& e) { return std::holds_alternative<BootInstance>(e); }), 4);
}

TEST_F(Groups, OnDemandInstancesTakeTheFirstType) {
  AutoScalingGroup group = wanted(0, 8, 4);
  group.instance_types = {"m5.large", "t2.medium"};
  group.on_demand_base = 1;
  group.on_demand_percentage = 0;
  ASSERT_TRUE(cluster.create_group(now, random, group));
  const auto on_demand = std::ranges::count_if(cluster.instances(), [](const auto& item) { return !item.second.spot; });
  EXPECT_EQ(on_demand, 1);
  EXPECT_EQ(std::ranges::count_if(cluster.instances(), [](const auto& item) { return item.second.type == "m5.large"; }), 1);
}

TEST_F(Groups, ScaleInTakesTheOldestOfTheFullestZoneAndSparesTheProtected) {
  ASSERT_TRUE(cluster.create_group(now, random, wanted(0, 8, 1)));
  const InstanceId oldest = cluster.instances().begin()->first;
  now += std::chrono::seconds(60);
  ASSERT_TRUE(cluster.update_group(now, random, name, {}, {}, 3));
  EXPECT_EQ(live().size(), 3u);
  cluster.edit(oldest)->protected_from_scale_in = true;
  ASSERT_TRUE(cluster.update_group(now, random, name, {}, {}, 2));
  EXPECT_EQ(cluster.instances().at(oldest).state, "pending");
  cluster.edit(oldest)->protected_from_scale_in = false;
  ASSERT_TRUE(cluster.update_group(now, random, name, {}, {}, 1));
  EXPECT_EQ(cluster.instances().at(oldest).state, "shutting-down") << "of two zones with one each the first by name";
}

TEST_F(Groups, ATerminatedInstanceIsReplaced) {
  ASSERT_TRUE(cluster.create_group(now, random, wanted(0, 4, 2)));
  const InstanceId gone = cluster.instances().begin()->first;
  ASSERT_TRUE(cluster.terminate_instance(now, random, gone));
  EXPECT_EQ(live().size(), 1u);
  cluster.instance_terminated(now, random, gone);
  EXPECT_EQ(live(), (std::vector<std::string>{"us-east-1a m5.large", "us-east-1b m5.large"}));
}

TEST_F(Groups, TerminationWithoutReplacementStopsAtTheMinimum) {
  ASSERT_TRUE(cluster.create_group(now, random, wanted(1, 4, 2)));
  ASSERT_TRUE(cluster.terminate_in_group(now, random, cluster.instances().begin()->first, true));
  EXPECT_EQ(live().size(), 1u);
  EXPECT_EQ(cluster.groups().at(name).desired, 1);
  const auto left = std::ranges::find_if(cluster.instances(), [](const auto& item) { return alive(item.second); });
  EXPECT_FALSE(cluster.terminate_in_group(now, random, left->first, true));
  EXPECT_FALSE(cluster.terminate_in_group(now, random, InstanceId("i-none"), false));
}

TEST_F(Groups, AFullSubnetIsAFailedActivitySaidOnce) {
  const SubnetId tiny = cluster.create_subnet(random, vpc, "us-east-1a", *parse_cidr("10.0.9.0/28"), {}).value();
  AutoScalingGroup group = wanted(0, 20, 12);
  group.subnets = {tiny};
  ASSERT_TRUE(cluster.create_group(now, random, group));
  EXPECT_EQ(live().size(), 11u);
  cluster.reconcile_group(now, random, name);
  cluster.reconcile_group(now, random, name);
  const auto& activities = cluster.groups().at(name).activities;
  EXPECT_EQ(activities.size(), 12u);
  EXPECT_EQ(activities.back().status, "Failed");
  EXPECT_NE(activities.back().description.find("not enough free addresses in subnet '" + tiny.str()), std::string::npos);
}

TEST_F(Groups, SizesMustBeInOrder) {
  EXPECT_FALSE(cluster.create_group(now, random, wanted(2, 1, 1)));
  EXPECT_FALSE(cluster.create_group(now, random, wanted(0, 1, 2)));
  ASSERT_TRUE(cluster.create_group(now, random, wanted(0, 4, 2)));
  EXPECT_EQ(cluster.create_group(now, random, wanted(0, 4, 2)).error().code, Code::already_exists);
  EXPECT_FALSE(cluster.update_group(now, random, name, {}, {}, 5));
  ASSERT_TRUE(cluster.update_group(now, random, name, {}, 1, {}));
  EXPECT_EQ(cluster.groups().at(name).desired, 1) << "a bound that moves takes the desired capacity with it";
}

TEST_F(Groups, AGroupWithInstancesNeedsForceToGo) {
  ASSERT_TRUE(cluster.create_group(now, random, wanted(0, 4, 2)));
  EXPECT_EQ(cluster.delete_group(now, random, name, false).error().code, Code::failed_precondition);
  ASSERT_TRUE(cluster.delete_group(now, random, name, true));
  EXPECT_TRUE(live().empty());
  EXPECT_TRUE(cluster.groups().empty());
}

}  // namespace
}  // namespace berth::cluster_sim

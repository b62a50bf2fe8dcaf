// Auto Scaling groups and the agents of their instances.

#include "broker/agent/agent.hpp"
#include "broker/agent/ecs_config.hpp"
#include "broker/agent/registration.hpp"
#include "broker/base/encoding.hpp"
#include "tests/unit/services_ec2/ec2_world.hpp"

namespace berth::agent {
namespace {

using api::Json;
using cluster_sim::InstanceId;
using control::Control;

TEST(EcsConfig, IsFoundInTheUsualFormsOfUserData) {
  EXPECT_EQ(read_ecs_config("#!/bin/bash\necho ECS_CLUSTER=demo >> /etc/ecs/ecs.config\n").cluster, "demo");
  EXPECT_EQ(read_ecs_config("echo \"ECS_CLUSTER=demo\" >> x").cluster, "demo");
  EXPECT_EQ(read_ecs_config("cat <<'EOF' >> /etc/ecs/ecs.config\nECS_CLUSTER=mine\nECS_RESERVED_MEMORY=256\nEOF").cluster,
            "mine");
  EXPECT_EQ(read_ecs_config("# ECS_CLUSTER=no\n").cluster, "default");
  EXPECT_EQ(read_ecs_config("MY_ECS_CLUSTER=no").cluster, "default");
  EXPECT_EQ(read_ecs_config("").cluster, "default");
  EXPECT_EQ(read_ecs_config("ECS_RESERVED_MEMORY=256").reserved_memory_mib, 256);
  EXPECT_EQ(read_ecs_config("ECS_INSTANCE_ATTRIBUTES={\"stack\": \"prod\"}").attributes,
            (std::map<std::string, std::string>{{"stack", "prod"}}));
  EXPECT_TRUE(read_ecs_config("ECS_INSTANCE_ATTRIBUTES={broken").attributes.empty());
  EXPECT_TRUE(read_ecs_config("ECS_INSTANCE_ATTRIBUTES={\"a\":" + std::string(100'000, '[')).attributes.empty());
}

TEST(Registration, MemoryIsWhatTheSystemSees) {
  EXPECT_EQ(usable_memory_mib(*cluster_sim::find_instance_type("m5.large")), 7985);
  EXPECT_LT(usable_memory_mib(*cluster_sim::find_instance_type("t2.nano")), 512);
}

class AgentWorld : public services::ec2::Ec2World {
 protected:
  AgentWorld() {
    const std::string vpc = make_vpc();
    subnets = make_subnet(vpc) + "," + make_subnet(vpc, "10.0.2.0/24", "us-east-1b");
    // What reaches the sink is carried out at once.
    world.plane().deliver_effects_to([this](const cluster_sim::Effect& effect) {
      if (const auto* booted = std::get_if<cluster_sim::BootInstance>(&effect)) agent.boot(booted->instance);
      if (const auto* ended = std::get_if<cluster_sim::TerminateInstance>(&effect)) agent.terminate(ended->instance);
    });
  }

  void make_profile() {
    world.decide([&](Control& c) {
      credentials::Role role;
      role.name = "instanceRole";
      role.id = "AROAEXAMPLE";
      role.trust_policy =
          credentials::Policy::parse(R"({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
                                                         "Principal": {"Service": "ec2.amazonaws.com"}}]})",
                                     credentials::PolicyKind::trust)
              .value();
      credentials::InstanceProfile profile;
      profile.name = "profile";
      profile.role = role.name;
      ASSERT_TRUE(c.edit_identities().create(role));
      ASSERT_TRUE(c.edit_identities().create(profile));
    });
  }

  void make_template(const char* image, const char* profile) {
    Json data{{"ImageId", image},
              {"InstanceType", "m5.large"},
              {"UserData", base64_encode("#!/bin/sh\necho ECS_CLUSTER=demo >> /etc/ecs/ecs.config\n")}};
    if (*profile) data["IamInstanceProfile"] = {{"Name", profile}};
    must("CreateLaunchTemplate", {{"LaunchTemplateName", "ecs"}, {"LaunchTemplateData", data}});
  }
  Json group_input(int desired) const {
    return {
        {"AutoScalingGroupName", "group"},
        {"MinSize", 0},
        {"MaxSize", 8},
        {"DesiredCapacity", desired},
        {"VPCZoneIdentifier", subnets},
        {"Tags", {{{"Key", "team"}, {"Value", "x"}, {"PropagateAtLaunch", true}}, {{"Key", "kept"}, {"Value", "y"}}}},
        {"MixedInstancesPolicy",
         {{"LaunchTemplate",
           {{"LaunchTemplateSpecification", {{"LaunchTemplateName", "ecs"}, {"Version", "$Latest"}}},
            {"Overrides", {{{"InstanceType", "m5.large"}}, {{"InstanceType", "t2.medium"}}}}}},
          {"InstancesDistribution",
           {{"OnDemandPercentageAboveBaseCapacity", 0}, {"SpotAllocationStrategy", "lowest-price"}, {"SpotInstancePools", 2}}}}}};
  }
  std::string console_of_first() {
    return world.plane().read([](const Control& c) { return c.cluster.instances().begin()->second.console; });
  }

  // ECS, as far as the agent knows it.
  api::Outcome<Json> ecs(const credentials::Principal& principal, const std::string& service, const std::string& operation,
                         const Json& input) {
    calls.push_back(service + ":" + operation + " as " + principal.arn);
    inputs.push_back(input);
    if (denied)
      return api::refuse("AccessDeniedException",
                         "User: " + principal.arn + " is not authorized to perform: ecs:RegisterContainerInstance");
    if (operation == "CreateCluster") {
      world.decide([&](Control& c) { ASSERT_TRUE(c.cluster.create_cluster(input.at("clusterName"), "{}", {})); });
      return Json::object();
    }
    return world.plane().with([&](Control& c) -> api::Outcome<Json> {
      const Json document = Json::parse(input.at("instanceIdentityDocument").get<std::string>());
      auto made = c.cluster.register_container_instance(
          c.now, c.random,
          {.cluster = cluster_sim::ClusterName(input.at("cluster")), .instance = InstanceId(document.at("instanceId"))});
      if (!made) return api::refuse("ClusterNotFoundException", made.error().message);
      return Json::object();
    });
  }

  std::string subnets;
  bool denied = false;
  std::vector<std::string> calls;
  std::vector<Json> inputs;
  std::vector<std::function<void()>> timers;
  SimulatedAgent agent{{.plane = world.plane(),
                        .call = [this](const auto& principal, const auto& service, const auto& operation,
                                       const auto& input) { return ecs(principal, service, operation, input); },
                        .after = [this](std::chrono::seconds, std::function<void()> run) { timers.push_back(std::move(run)); }}};
};

TEST_F(AgentWorld, AGroupOfTwoTypesRegistersOneOfEachInEachZone) {
  make_profile();
  make_template("ami-0ec50000000000001", "profile");
  world.decide([](Control& c) { ASSERT_TRUE(c.cluster.create_cluster("demo", "{}", {})); });
  must("CreateAutoScalingGroup", group_input(4));
  world.plane().wait_for_effects();
  std::set<std::string> registered;
  world.plane().read([&](const Control& c) {
    for (const auto& [id, instance] : c.cluster.container_instances())
      registered.insert(instance.zone + " " + instance.attributes.at("ecs.instance-type"));
    EXPECT_EQ(c.cluster.instances().begin()->second.tags.at("team"), "x");
    EXPECT_FALSE(c.cluster.instances().begin()->second.tags.contains("kept"));
  });
  EXPECT_EQ(registered, (std::set<std::string>{"us-east-1a m5.large", "us-east-1a t2.medium", "us-east-1b m5.large",
                                               "us-east-1b t2.medium"}));
  EXPECT_TRUE(calls.at(0).starts_with("ecs:RegisterContainerInstance as arn:aws:sts::123456789012:assumed-role/instanceRole/i-"));
  const Json group = must("DescribeAutoScalingGroups", {{"AutoScalingGroupNames", {"group"}}})["AutoScalingGroups"].at(0);
  EXPECT_EQ(group["Instances"].size(), 4u);
  EXPECT_EQ(group["Instances"][0]["LifecycleState"], "InService");
  EXPECT_EQ(group["VPCZoneIdentifier"], subnets);
  EXPECT_EQ(must("DescribeScalingActivities", {{"AutoScalingGroupName", "group"}})["Activities"].size(), 4u);
}

TEST_F(AgentWorld, ARefusedAgentSaysSoAndTriesAgain) {
  make_profile();
  make_template("ami-0ec50000000000001", "profile");
  world.decide([](Control& c) { ASSERT_TRUE(c.cluster.create_cluster("demo", "{}", {})); });
  denied = true;
  must("CreateAutoScalingGroup", group_input(1));
  world.plane().wait_for_effects();
  EXPECT_NE(console_of_first().find("AccessDeniedException: User: arn:aws:sts::123456789012:assumed-role/instanceRole/"),
            std::string::npos);
  ASSERT_EQ(timers.size(), 1u);
  denied = false;
  timers[0]();
  EXPECT_NE(console_of_first().find("registered container instance in cluster demo"), std::string::npos);
  EXPECT_EQ(timers.size(), 1u);
}

TEST_F(AgentWorld, WithoutAProfileThereAreNoCredentials) {
  make_template("ami-0ec50000000000001", "");
  must("CreateAutoScalingGroup", group_input(1));
  world.plane().wait_for_effects();
  EXPECT_NE(console_of_first().find("the instance has no instance profile"), std::string::npos);
  EXPECT_TRUE(calls.empty());
}

TEST_F(AgentWorld, AnotherImageBringsNoAgent) {
  make_template("ami-0ba5e000000000001", "");
  must("CreateAutoScalingGroup", group_input(1));
  world.plane().wait_for_effects();
  EXPECT_TRUE(calls.empty());
  EXPECT_TRUE(timers.empty());
  EXPECT_EQ(must("DescribeInstanceStatus", Json::object())["InstanceStatuses"].size(), 1u);
}

TEST_F(AgentWorld, ScalingInEndsInstancesAndTheirRegistration) {
  make_profile();
  make_template("ami-0ec50000000000001", "profile");
  world.decide([](Control& c) { ASSERT_TRUE(c.cluster.create_cluster("demo", "{}", {})); });
  must("CreateAutoScalingGroup", group_input(2));
  world.plane().wait_for_effects();
  EXPECT_EQ(code_of("DeleteAutoScalingGroup", {{"AutoScalingGroupName", "group"}}), "ResourceInUse");
  EXPECT_EQ(code_of("SetDesiredCapacity", {{"AutoScalingGroupName", "group"}, {"DesiredCapacity", 9}}), "ValidationError");
  must("SetDesiredCapacity", {{"AutoScalingGroupName", "group"}, {"DesiredCapacity", 0}});
  world.plane().wait_for_effects();
  world.plane().read([](const Control& c) {
    for (const auto& [id, instance] : c.cluster.instances()) EXPECT_EQ(instance.state, "terminated");
    for (const auto& [id, instance] : c.cluster.container_instances()) EXPECT_EQ(instance.status, "INACTIVE");
    EXPECT_TRUE(c.cluster.interfaces().empty());
  });
  must("DeleteAutoScalingGroup", {{"AutoScalingGroupName", "group"}});
}

TEST_F(AgentWorld, GroupsThatCannotWorkAreRefused) {
  make_template("ami-0123456789abcdef0", "");
  EXPECT_EQ(code_of("CreateAutoScalingGroup", group_input(1)), "ValidationError") << "no such image";
  make_profile();
  must("DeleteLaunchTemplate", {{"LaunchTemplateName", "ecs"}});
  EXPECT_EQ(code_of("CreateAutoScalingGroup", group_input(1)), "ValidationError") << "no such template";
  make_template("ami-0ec50000000000001", "nobody");
  EXPECT_EQ(code_of("CreateAutoScalingGroup", group_input(1)), "ValidationError") << "no such profile";
  must("CreateLaunchTemplateVersion", {{"LaunchTemplateName", "ecs"},
                                       {"SourceVersion", "1"},
                                       {"LaunchTemplateData", {{"IamInstanceProfile", {{"Name", "profile"}}}}}});
  must("CreateAutoScalingGroup", group_input(0));
  EXPECT_EQ(code_of("CreateAutoScalingGroup", group_input(0)), "AlreadyExists");
  EXPECT_EQ(code_of("UpdateAutoScalingGroup", {{"AutoScalingGroupName", "none"}}), "ValidationError");
  must("UpdateAutoScalingGroup", {{"AutoScalingGroupName", "group"}, {"MaxSize", 3}});
  EXPECT_EQ(must("DescribeAutoScalingGroups", Json::object())["AutoScalingGroups"].at(0)["MaxSize"], 3);
}

}  // namespace
}  // namespace berth::agent

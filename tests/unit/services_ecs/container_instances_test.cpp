#include <gmock/gmock.h>

#include "tests/unit/services_ecs/ecs_world.hpp"

namespace berth::services::ecs {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

class ContainerInstances : public EcsWorld {
 protected:
  Json describe(const std::string& arn) {
    return must("DescribeContainerInstances", {{"cluster", "demo"}, {"containerInstances", {arn}}})["containerInstances"][0];
  }
  std::vector<std::string> listed(Json input) {
    input["cluster"] = "demo";
    return must("ListContainerInstances", input)["containerInstanceArns"].get<std::vector<std::string>>();
  }
  static int remaining(const Json& instance, const std::string& resource) {
    for (const auto& item : instance["remainingResources"])
      if (item["name"] == resource) return item["integerValue"];
    return -1;
  }
};

TEST_F(ContainerInstances, ARegisteredOneTellsItsResourcesAndAttributes) {
  const auto made = must("RegisterContainerInstance", registration())["containerInstance"];
  EXPECT_THAT(made["containerInstanceArn"].get<std::string>(),
              MatchesRegex("arn:aws:ecs:us-east-1:123456789012:container-instance/demo/[0-9a-f]{32}"));
  EXPECT_THAT(made["ec2InstanceId"].get<std::string>(), StartsWith("i-"));
  EXPECT_EQ(made["status"], "ACTIVE");
  EXPECT_EQ(made["agentConnected"], true);
  EXPECT_EQ(made["versionInfo"]["agentVersion"], "1.105.1");
  EXPECT_EQ(made["registeredResources"][0],
            Json::parse(R"({"name": "CPU", "type": "INTEGER", "doubleValue": 0.0, "longValue": 0, "integerValue": 2048})"));
  EXPECT_EQ(made["registeredResources"][2]["stringSetValue"], Json::parse(R"(["22", "51678"])"));
  std::map<std::string, std::string> attributes;
  for (const auto& attribute : made["attributes"]) attributes[attribute["name"]] = attribute.value("value", "");
  EXPECT_EQ(attributes["ecs.availability-zone"], "us-east-1a");
  EXPECT_EQ(attributes["ecs.instance-type"], "m5.large");
  EXPECT_EQ(attributes["stack"], "blue");
  EXPECT_TRUE(attributes.contains("ecs.capability.task-eni"));
}

TEST_F(ContainerInstances, ATaskTakesFromWhatRemains) {
  const auto arn = register_instance();
  define(definition());
  must("RunTask", {{"cluster", "demo"}, {"taskDefinition", "web"}});
  EXPECT_EQ(remaining(describe(arn), "MEMORY"), 7600 - 128);
  EXPECT_EQ(describe(arn)["pendingTasksCount"], 1);
}

TEST_F(ContainerInstances, TheSameMachineKeepsItsArn) {
  const auto input = registration();
  const auto first = must("RegisterContainerInstance", input)["containerInstance"]["containerInstanceArn"];
  EXPECT_EQ(must("RegisterContainerInstance", input)["containerInstance"]["containerInstanceArn"], first);
}

TEST_F(ContainerInstances, WhatIsNotAMachineOfOursIsNotRegistered) {
  auto input = registration();
  input["instanceIdentityDocument"] = "no JSON";
  EXPECT_EQ(refusal("RegisterContainerInstance", input),
            "ClientException: EC2 instance identity document is missing or malformed.");
  input["instanceIdentityDocument"] = R"({"instanceId": "i-unknown"})";
  EXPECT_THAT(refusal("RegisterContainerInstance", input), StartsWith("ClientException: "));
  input = registration();
  input["totalResources"][2]["stringSetValue"] = {"http"};
  EXPECT_THAT(refusal("RegisterContainerInstance", input), HasSubstr("Invalid port"));
  input = registration();
  input["cluster"] = "none";
  EXPECT_EQ(refusal("RegisterContainerInstance", input), "ClusterNotFoundException: Cluster not found.");
  EXPECT_EQ(listed(Json::object()).size(), 0U);
}

TEST_F(ContainerInstances, AreListedByStatusAndByExpression) {
  const auto a = register_instance(), b = register_instance();
  must("UpdateContainerInstancesState", {{"cluster", "demo"}, {"containerInstances", {b}}, {"status", "DRAINING"}});
  EXPECT_EQ(listed({{"status", "DRAINING"}}), std::vector{b});
  EXPECT_EQ(listed({{"status", "ACTIVE"}}), std::vector{a});
  EXPECT_EQ(listed({{"filter", "attribute:stack == blue"}}).size(), 2U);
  EXPECT_EQ(listed({{"filter", "attribute:stack == red"}}).size(), 0U);
  EXPECT_THAT(refusal("ListContainerInstances", {{"cluster", "demo"}, {"filter", "attribute:stack =="}}),
              StartsWith("InvalidParameterException: Invalid filter"));
}

TEST_F(ContainerInstances, OnlyActiveAndDrainingAreStatesToAskFor) {
  const auto arn = register_instance();
  EXPECT_THAT(
      refusal("UpdateContainerInstancesState", {{"cluster", "demo"}, {"containerInstances", {arn}}, {"status", "REGISTERING"}}),
      StartsWith("InvalidParameterException"));
  const auto answer = must("UpdateContainerInstancesState",
                           {{"cluster", "demo"}, {"containerInstances", {std::string(32, 'c')}}, {"status", "ACTIVE"}});
  EXPECT_EQ(answer["failures"][0]["reason"], "MISSING");
}

TEST_F(ContainerInstances, OneWithTasksIsDeregisteredByForceOnly) {
  const auto arn = register_instance();
  define(definition());
  must("RunTask", {{"cluster", "demo"}, {"taskDefinition", "web"}});
  EXPECT_EQ(refusal("DeregisterContainerInstance", {{"cluster", "demo"}, {"containerInstance", arn}}),
            "InvalidParameterException: Found running tasks on the instance.");
  const auto gone = must("DeregisterContainerInstance",
                         {{"cluster", "demo"}, {"containerInstance", arn}, {"force", true}})["containerInstance"];
  EXPECT_EQ(gone["status"], "INACTIVE");
  EXPECT_EQ(listed(Json::object()).size(), 0U);
}

}  // namespace
}  // namespace berth::services::ecs

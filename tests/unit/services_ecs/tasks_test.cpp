#include <gmock/gmock.h>

#include "tests/unit/services_ecs/ecs_world.hpp"

namespace berth::services::ecs {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

class Tasks : public EcsWorld {
 protected:
  Tasks() {
    world.make_role("writer", {});
    define(fargate_definition());
    define(definition("plain"));
  }
  Json describe(const Json& arn) { return must("DescribeTasks", {{"cluster", "demo"}, {"tasks", {arn}}})["tasks"][0]; }
  std::vector<std::string> listed(Json input) {
    input["cluster"] = "demo";
    return must("ListTasks", input)["taskArns"].get<std::vector<std::string>>();
  }
  static cluster_sim::TaskId id_of(const Json& arn) {
    const auto text = arn.get<std::string>();
    return cluster_sim::TaskId(text.substr(text.rfind('/') + 1));
  }
  void report(const Json& arn, const cluster_sim::TaskEvent& event) { world.report(id_of(arn), event); }
};

TEST_F(Tasks, ANewOneOnFargateIsAnsweredWhole) {
  auto input = on_fargate();
  input["startedBy"] = "me";
  const auto answer = must("RunTask", input);
  EXPECT_EQ(answer["failures"], Json::array());
  ASSERT_EQ(answer["tasks"].size(), 1U);
  auto task = answer["tasks"][0];
  EXPECT_THAT(task["taskArn"].get<std::string>(), MatchesRegex("arn:aws:ecs:us-east-1:123456789012:task/demo/[0-9a-f]{32}"));
  const auto container_arn = task["containers"][0]["containerArn"].get<std::string>();
  EXPECT_THAT(container_arn, StartsWith(std::string(kArn) + "container/demo/" + id_of(task["taskArn"]).str() + "/"));
  EXPECT_EQ(task["attachments"][0]["type"], "ElasticNetworkInterface");
  EXPECT_EQ(task["attachments"][0]["details"][0], (Json{{"name", "subnetId"}, {"value", world.network.subnet_a.str()}}));
  task["containers"][0].erase("containerArn");
  task["attachments"] = Json::array();
  const Json arn = task["taskArn"];
  EXPECT_EQ(task["containers"][0]["taskArn"], arn);
  task["containers"][0].erase("taskArn");
  task.erase("taskArn");
  EXPECT_EQ(task, Json::parse(R"({
      "clusterArn": "arn:aws:ecs:us-east-1:123456789012:cluster/demo",
      "taskDefinitionArn": "arn:aws:ecs:us-east-1:123456789012:task-definition/web:1",
      "lastStatus": "PROVISIONING", "desiredStatus": "RUNNING", "healthStatus": "UNKNOWN", "launchType": "FARGATE",
      "platformVersion": "1.4.0", "platformFamily": "Linux", "cpu": "256", "memory": "512", "group": "family:web", "startedBy": "me",
      "availabilityZone": "us-east-1a", "version": 1, "createdAt": 1795410000.0, "enableExecuteCommand": false,
      "attachments": [], "attributes": [{"name": "ecs.cpu-architecture", "value": "x86_64"}], "inferenceAccelerators": [], "tags": [],
      "ephemeralStorage": {"sizeInGiB": 20}, "fargateEphemeralStorage": {"sizeInGiB": 20},
      "overrides": {"containerOverrides": [{"name": "app"}], "inferenceAcceleratorOverrides": []},
      "containers": [{"name": "app", "image": "host", "lastStatus": "PENDING", "healthStatus": "UNKNOWN", "cpu": "0", "memory": "128",
                      "networkInterfaces": []}]})"));
}

TEST_F(Tasks, OverridesAreShownAndReachTheDocumentOfTheTask) {
  auto input = on_fargate();
  input["overrides"] = Json::parse(R"({"cpu": "512", "memory": "1 GB", "taskRoleArn": "writer",
      "containerOverrides": [{"name": "app", "command": ["true"], "memory": 256}]})");
  const auto task = must("RunTask", input)["tasks"][0];
  EXPECT_EQ(task["cpu"], "512");
  EXPECT_EQ(task["memory"], "1024");
  EXPECT_EQ(task["containers"][0]["memory"], "256");
  EXPECT_EQ(task["overrides"]["containerOverrides"], input["overrides"]["containerOverrides"]);
  const auto document = world.plane().read(
      [&](const control::Control& c) { return Json::parse(c.cluster.tasks().at(id_of(task["taskArn"])).document); });
  EXPECT_EQ(document["taskRoleArn"], "arn:aws:iam::123456789012:role/writer");
  EXPECT_EQ(document["overrides"], input["overrides"]);
  EXPECT_EQ(document["networkConfiguration"], input["networkConfiguration"]);
  EXPECT_EQ(document["cpu"], "512");
  EXPECT_EQ(document["platformVersion"], "1.4.0");
}

TEST_F(Tasks, ItsLifeIsTold) {
  const auto arn = must("RunTask", on_fargate())["tasks"][0]["taskArn"];
  report(arn, cluster_sim::PullStarted{});
  report(arn, cluster_sim::PullStopped{});
  world.clock().advance(std::chrono::seconds(2));
  report(arn, cluster_sim::ContainerStarted{"app", "runtime-1"});
  report(arn, cluster_sim::TaskRunning{});
  const auto running = describe(arn);
  EXPECT_EQ(running["lastStatus"], "RUNNING");
  EXPECT_EQ(running["startedAt"], 1795410002.0);
  EXPECT_EQ(running["pullStartedAt"], 1795410000.0);
  EXPECT_EQ(running["containers"][0]["runtimeId"], "runtime-1");
  EXPECT_EQ(running["containers"][0]["networkInterfaces"][0]["privateIpv4Address"], "10.0.1.4");
  EXPECT_EQ(running["attachments"][0]["status"], "ATTACHED");

  const auto stopping = must("StopTask", {{"cluster", "demo"}, {"task", arn}, {"reason", "enough"}})["task"];
  EXPECT_EQ(stopping["desiredStatus"], "STOPPED");
  EXPECT_EQ(stopping["stopCode"], "UserInitiated");
  EXPECT_EQ(stopping["stoppedReason"], "enough");
  report(arn, cluster_sim::ContainerExited{"app", 137, ""});
  report(arn, cluster_sim::TaskGone{});
  const auto stopped = describe(arn);
  EXPECT_EQ(stopped["lastStatus"], "STOPPED");
  EXPECT_EQ(stopped["containers"][0]["exitCode"], 137);
  EXPECT_EQ(stopped["attachments"][0]["status"], "DELETED");
}

TEST_F(Tasks, TagsComeFromTheCallTheDefinitionAndEcs) {
  auto tagged = fargate_definition("tagged");
  tagged["tags"] = Json::parse(R"([{"key": "team", "value": "definition"}, {"key": "tier", "value": "1"}])");
  define(tagged);
  auto input = on_fargate("tagged");
  input.update(Json::parse(
      R"({"tags": [{"key": "team", "value": "call"}], "propagateTags": "TASK_DEFINITION", "enableECSManagedTags": true})"));
  EXPECT_EQ(
      must("RunTask", input)["tasks"][0]["tags"],
      Json::parse(
          R"([{"key": "aws:ecs:clusterName", "value": "demo"}, {"key": "team", "value": "call"}, {"key": "tier", "value": "1"}])"));
  input["tags"][0]["key"] = "aws:own";
  EXPECT_THAT(refusal("RunTask", input), StartsWith("InvalidParameterException"));
}

TEST_F(Tasks, AClientTokenStartsItsTasksOnce) {
  auto input = on_fargate();
  input["clientToken"] = "once";
  const auto first = must("RunTask", input)["tasks"][0]["taskArn"];
  EXPECT_EQ(must("RunTask", input)["tasks"][0]["taskArn"], first);
  EXPECT_EQ(listed(Json::object()).size(), 1U);
  input["startedBy"] = "other";
  const auto conflict = call("RunTask", input);
  ASSERT_FALSE(conflict);
  EXPECT_EQ(conflict.error().code, "ConflictException");
  EXPECT_EQ((*conflict.error().members)["resourceIds"], Json::array({first}));
  world.clock().advance(std::chrono::hours(25));
  EXPECT_NE(must("RunTask", input)["tasks"][0]["taskArn"], first);
}

TEST_F(Tasks, AreListedByWhatIsAskedAndInPages) {
  auto two = on_fargate();
  two["count"] = 2;
  two["startedBy"] = "me";
  const auto arns = must("RunTask", two)["tasks"];
  register_instance();
  must("RunTask", {{"cluster", "demo"}, {"taskDefinition", "plain"}});
  EXPECT_EQ(listed(Json::object()).size(), 3U);
  EXPECT_EQ(listed({{"family", "web"}}).size(), 2U);
  EXPECT_EQ(listed({{"launchType", "EC2"}}).size(), 1U);
  EXPECT_EQ(listed({{"startedBy", "me"}}).size(), 2U);
  EXPECT_EQ(listed({{"desiredStatus", "PENDING"}}).size(), 0U);
  must("StopTask", {{"cluster", "demo"}, {"task", arns[0]["taskArn"]}});
  EXPECT_EQ(listed({{"desiredStatus", "STOPPED"}}), std::vector{arns[0]["taskArn"].get<std::string>()});
  const auto page = must("ListTasks", {{"cluster", "demo"}, {"maxResults", 1}});
  EXPECT_EQ(listed({{"nextToken", page["nextToken"]}}).size(), 1U);
  EXPECT_EQ(refusal("ListTasks", {{"cluster", "demo"}, {"serviceName", "s"}}), "ServiceNotFoundException: Service not found.");
}

TEST_F(Tasks, OnesThatAreNotThereAreFailuresAndBadNamesAreRefused) {
  const std::string id(32, 'a');
  EXPECT_EQ(must("DescribeTasks", {{"cluster", "demo"}, {"tasks", {id}}})["failures"],
            Json::parse(R"([{"arn": "arn:aws:ecs:us-east-1:123456789012:task/demo/)" + id + R"(", "reason": "MISSING"}])"));
  const auto describe_one = [&](const std::string& text) {
    return refusal("DescribeTasks", {{"cluster", "demo"}, {"tasks", {text}}});
  };
  EXPECT_EQ(describe_one("short"), "InvalidParameterException: taskId length should be one of [32,36]");
  EXPECT_EQ(describe_one("arn:aws:ecs:us-east-1:999999999999:task/demo/" + id),
            "InvalidParameterException: Identifier is for 999999999999. Your accountId is 123456789012");
  EXPECT_EQ(describe_one(std::string(kArn) + "task/other/" + id),
            "InvalidParameterException: Invalid identifier: Identifier is for cluster other. Your cluster is demo");
  EXPECT_EQ(refusal("DescribeTasks", {{"cluster", "demo"}, {"tasks", Json::array()}}),
            "InvalidParameterException: Tasks cannot be empty.");
  EXPECT_EQ(refusal("StopTask", {{"cluster", "demo"}, {"task", id}}),
            "InvalidParameterException: The referenced task was not found.");
}

TEST_F(Tasks, StartTaskPutsOneOnEachInstanceThatIsNamed) {
  const auto instance = register_instance();
  const std::string missing(32, 'b');
  const auto answer =
      must("StartTask", {{"cluster", "demo"}, {"taskDefinition", "plain"}, {"containerInstances", {instance, missing}}});
  ASSERT_EQ(answer["tasks"].size(), 1U);
  EXPECT_EQ(answer["tasks"][0]["containerInstanceArn"], instance);
  EXPECT_EQ(answer["tasks"][0]["launchType"], "EC2");
  EXPECT_EQ(answer["failures"][0]["reason"], "MISSING");
  EXPECT_EQ(answer["failures"][0]["arn"], std::string(kArn) + "container-instance/demo/" + missing);
}

TEST_F(Tasks, OnesThatFindNoPlaceAreFailuresThatNameTheInstance) {
  const auto instance = register_instance();
  auto large = definition("large");
  large["containerDefinitions"][0]["memory"] = 9000;
  define(large);
  const auto answer = must("RunTask", {{"cluster", "demo"}, {"taskDefinition", "large"}});
  EXPECT_EQ(answer["tasks"], Json::array());
  EXPECT_EQ(answer["failures"][0]["reason"], "RESOURCE:MEMORY");
  EXPECT_EQ(answer["failures"][0]["arn"], instance);
}

TEST_F(Tasks, TheClustersDefaultStrategyStandsInForALaunchType) {
  must("PutClusterCapacityProviders",
       {{"cluster", "demo"},
        {"capacityProviders", {"FARGATE_SPOT"}},
        {"defaultCapacityProviderStrategy", Json::parse(R"([{"capacityProvider": "FARGATE_SPOT"}])")}});
  auto input = on_fargate();
  input.erase("launchType");
  const auto task = must("RunTask", input)["tasks"][0];
  EXPECT_EQ(task["capacityProviderName"], "FARGATE_SPOT");
  input["capacityProviderStrategy"] = Json::parse(R"([{"capacityProvider": "FARGATE"}])");
  EXPECT_THAT(refusal("RunTask", input), HasSubstr("not associated with the cluster"));
}

TEST_F(Tasks, ARoleThatEcsMayNotAssumeIsRefused) {
  world.make_role("lambda", {}, "lambda.amazonaws.com");
  for (const auto* role : {"lambda", "missing"}) {
    auto input = on_fargate();
    input["overrides"] = {{"taskRoleArn", role}};
    EXPECT_EQ(refusal("RunTask", input),
              "ClientException: ECS was unable to assume the role 'arn:aws:iam::123456789012:role/" + std::string(role) +
                  "' that was provided for this task. Please verify that the role being passed has the proper trust "
                  "relationship and permissions and that your IAM user has permissions to pass this role.");
  }
}

// Each patch makes a RunTask that is refused.
struct Refusal {
  const char* patch;
  const char* text;
};
class RefusedTask : public Tasks, public ::testing::WithParamInterface<Refusal> {};

TEST_P(RefusedTask, SaysWhatIsWrong) {
  must("DeregisterTaskDefinition", {{"taskDefinition", define(definition("old"))}});
  auto input = on_fargate();
  input.merge_patch(Json::parse(GetParam().patch));
  EXPECT_THAT(refusal("RunTask", input), StartsWith(GetParam().text));
  EXPECT_EQ(listed(Json::object()).size(), 0U);
}

INSTANTIATE_TEST_SUITE_P(
    RunTask, RefusedTask,
    ::testing::Values(
        Refusal{R"({"cluster": "none"})", "ClusterNotFoundException: Cluster not found."},
        Refusal{R"({"taskDefinition": "none"})", "ClientException: TaskDefinition not found."},
        Refusal{R"({"taskDefinition": "old:1"})", "InvalidParameterException: TaskDefinition is inactive"},
        Refusal{R"({"count": 0})", "InvalidParameterException: count"},
        Refusal{R"({"count": 11})", "InvalidParameterException: count"},
        Refusal{R"({"networkConfiguration": null})",
                "InvalidParameterException: Network Configuration must be provided when networkMode 'awsvpc' is specified."},
        Refusal{R"({"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}})",
                "InvalidParameterException: Error retrieving subnet information for [subnet-1]"},
        Refusal{R"({"taskDefinition": "plain"})",
                "InvalidParameterException: Task definition does not support launch_type FARGATE."},
        Refusal{R"({"taskDefinition": "plain", "launchType": "EC2"})",
                "InvalidParameterException: Network Configuration is not valid for the given networkMode"},
        Refusal{R"({"launchType": "EC2"})", "InvalidParameterException: No Container Instances were found in your cluster."},
        Refusal{R"({"launchType": "EC2", "platformVersion": "LATEST"})",
                "InvalidParameterException: The platform version must be null"},
        Refusal{R"({"platformVersion": "9.9"})", "PlatformUnknownException: The specified platform does not exist."},
        Refusal{R"({"placementConstraints": [{"type": "distinctInstance"}]})",
                "InvalidParameterException: Placement constraints are not supported with FARGATE launch type."},
        Refusal{R"({"placementStrategy": [{"type": "random"}]})",
                "InvalidParameterException: Placement strategies are not supported with FARGATE launch type."},
        Refusal{R"({"capacityProviderStrategy": [{"capacityProvider": "FARGATE"}]})",
                "InvalidParameterException: Specifying both a launch type and capacity provider strategy"},
        Refusal{R"({"overrides": {"containerOverrides": [{"name": "x"}]}})",
                "InvalidParameterException: Override for container named x is not a container in the TaskDefinition."},
        Refusal{R"({"overrides": {"memory": "4 GB"}})", "ClientException: No Fargate configuration exists for given values."},
        Refusal{R"({"group": "service:x"})", "InvalidParameterException: Invalid namespace for group."},
        Refusal{R"({"enableExecuteCommand": true})", "UnsupportedFeatureException: enableExecuteCommand"},
        Refusal{R"({"launchType": "EXTERNAL"})", "UnsupportedFeatureException: launchType EXTERNAL"},
        Refusal{R"({"volumeConfigurations": [{"name": "v"}]})", "UnsupportedFeatureException: volumeConfigurations"}));

// Each patch makes a definition that can be registered and not run.
class UnbuiltDefinition : public Tasks, public ::testing::WithParamInterface<Refusal> {};

TEST_P(UnbuiltDefinition, IsKeptButNotRun) {
  auto input = definition("unbuilt");
  input["containerDefinitions"][0].merge_patch(Json::parse(GetParam().patch).value("container", Json::object()));
  input.merge_patch(Json::parse(GetParam().patch).value("task", Json::object()));
  define(input);
  register_instance();
  Json run{{"cluster", "demo"}, {"taskDefinition", "unbuilt"}};
  if (input.value("networkMode", "") == "awsvpc") run["networkConfiguration"] = network_a();
  EXPECT_THAT(refusal("RunTask", run), StartsWith("UnsupportedFeatureException: "));
  EXPECT_THAT(refusal("RunTask", run), HasSubstr(GetParam().text));
}

INSTANTIATE_TEST_SUITE_P(
    RunTask, UnbuiltDefinition,
    ::testing::Values(
        Refusal{R"({"task": {"networkMode": "host"}})", "networkMode host"},
        Refusal{R"({"task": {"pidMode": "task"}})", "pidMode task"},
        Refusal{R"({"task": {"volumes": [{"name": "v", "dockerVolumeConfiguration": {"scope": "shared", "driver": "local"}}]}})",
                "Docker volumes"},
        Refusal{R"({"task": {"volumes": [{"name": "v", "configuredAtLaunch": true}]}})", "EBS volumes"},
        Refusal{R"({"task": {"runtimePlatform": {"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"}}})",
                "Linux containers only"},
        Refusal{R"({"container": {"privileged": true}})", "privileged"},
        Refusal{R"({"container": {"portMappings": [{"containerPort": 80}]}})", "portMappings"},
        Refusal{R"({"container": {"secrets": [{"name": "S", "valueFrom": "arn:x"}]}})", "secrets"},
        Refusal{R"({"container": {"logConfiguration": {"logDriver": "awsfirelens"}}})", "FireLens"},
        Refusal{R"({"container": {"linuxParameters": {"tmpfs": [{"containerPath": "/t", "size": 1}]}}})", "tmpfs"}));

TEST_F(Tasks, APortOfATaskWithItsOwnInterfaceNeedsNoMapping) {
  auto input = fargate_definition("served");
  input["containerDefinitions"][0]["portMappings"] = Json::parse(R"([{"containerPort": 80}])");
  define(input);
  EXPECT_EQ(must("RunTask", on_fargate("served"))["tasks"].size(), 1U);
}

}  // namespace
}  // namespace berth::services::ecs

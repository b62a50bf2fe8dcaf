#include <gmock/gmock.h>

#include "tests/unit/services_ecs/ecs_world.hpp"

namespace berth::services::ecs {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class TaskDefinitions : public EcsWorld {
 protected:
  std::vector<std::string> listed(const Json& input) {
    return must("ListTaskDefinitions", input)["taskDefinitionArns"].get<std::vector<std::string>>();
  }
  static std::string arn(const std::string& name) { return std::string(kArn) + "task-definition/" + name; }
};

TEST_F(TaskDefinitions, DefaultsAreFilledInAsEcsDoes) {
  auto input = Json::parse(R"({
      "family": "web", "networkMode": "awsvpc", "cpu": "0.25 vCPU", "memory": "0.5GB", "requiresCompatibilities": ["FARGATE"],
      "taskRoleArn": "writer", "tags": [{"key": "team", "value": "x"}],
      "containerDefinitions": [{"name": "app", "image": "host", "portMappings": [{"containerPort": 80}],
                                "healthCheck": {"command": ["CMD-SHELL", "true"]},
                                "mountPoints": [{"sourceVolume": "data", "containerPath": "/data"}]}],
      "volumes": [{"name": "data", "efsVolumeConfiguration": {"fileSystemId": "fs-1", "transitEncryption": "ENABLED"}}, {"name": "tmp"}]})");
  const auto answer = must("RegisterTaskDefinition", input);
  EXPECT_EQ(answer["tags"], input["tags"]);
  EXPECT_EQ(answer["taskDefinition"], Json::parse(R"({
      "taskDefinitionArn": "arn:aws:ecs:us-east-1:123456789012:task-definition/web:1", "family": "web", "revision": 1, "status": "ACTIVE",
      "registeredAt": 1795410000.0, "registeredBy": "arn:aws:iam::123456789012:user/berth-admin",
      "networkMode": "awsvpc", "cpu": "256", "memory": "512", "requiresCompatibilities": ["FARGATE"], "compatibilities": ["EC2", "FARGATE"],
      "taskRoleArn": "arn:aws:iam::123456789012:role/writer", "placementConstraints": [],
      "containerDefinitions": [{"name": "app", "image": "host", "cpu": 0, "essential": true, "environment": [], "volumesFrom": [], "systemControls": [],
          "portMappings": [{"containerPort": 80, "hostPort": 80, "protocol": "tcp"}],
          "healthCheck": {"command": ["CMD-SHELL", "true"], "interval": 30, "timeout": 5, "retries": 3},
          "mountPoints": [{"sourceVolume": "data", "containerPath": "/data"}]}],
      "volumes": [{"name": "data", "efsVolumeConfiguration": {"fileSystemId": "fs-1", "transitEncryption": "ENABLED", "rootDirectory": "/"}},
                  {"name": "tmp", "host": {}}],
      "requiresAttributes": [{"name": "com.amazonaws.ecs.capability.docker-remote-api.1.18"}, {"name": "com.amazonaws.ecs.capability.docker-remote-api.1.25"},
          {"name": "com.amazonaws.ecs.capability.task-iam-role"}, {"name": "ecs.capability.container-health-check"}, {"name": "ecs.capability.efs"},
          {"name": "ecs.capability.efsAuth"}, {"name": "ecs.capability.task-cpu-mem-limit"}, {"name": "ecs.capability.task-eni"}]})"));
}

TEST_F(TaskDefinitions, MembersThatBerthDoesNotActOnComeBackAsTheyWent) {
  auto input = definition();
  input["ephemeralStorage"] = {{"sizeInGiB", 30}};
  input["runtimePlatform"] = {{"cpuArchitecture", "X86_64"}, {"operatingSystemFamily", "LINUX"}};
  input["containerDefinitions"][0].update(
      Json::parse(R"({"dockerLabels": {"a": "b"}, "privileged": true, "links": ["x"], "pseudoTerminal": true,
      "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "g"}}, "secrets": [{"name": "S", "valueFrom": "p"}],
      "linuxParameters": {"tmpfs": [{"containerPath": "/t", "size": 1}]}})"));
  const auto kept = must("RegisterTaskDefinition", input)["taskDefinition"];
  for (const auto& [name, value] : input["containerDefinitions"][0].items())
    EXPECT_EQ(kept["containerDefinitions"][0][name], value) << name;
  EXPECT_EQ(kept["ephemeralStorage"], input["ephemeralStorage"]);
  EXPECT_EQ(kept["runtimePlatform"], input["runtimePlatform"]);
  EXPECT_FALSE(kept.contains("networkMode"));
  EXPECT_EQ(kept["compatibilities"], Json::parse(R"(["EXTERNAL", "EC2"])"));
}

TEST_F(TaskDefinitions, OneIsFoundByFamilyByRevisionAndByArn) {
  define(definition());
  define(definition());
  const auto revision = [&](const std::string& name) {
    return must("DescribeTaskDefinition", {{"taskDefinition", name}})["taskDefinition"]["revision"];
  };
  EXPECT_EQ(revision("web"), 2);
  EXPECT_EQ(revision("web:1"), 1);
  EXPECT_EQ(revision(arn("web:1")), 1);
  EXPECT_EQ(revision(arn("web")), 2);
  for (const auto* name : {"other", "web:3"})
    EXPECT_EQ(refusal("DescribeTaskDefinition", {{"taskDefinition", name}}),
              "ClientException: Unable to describe task definition.");
  EXPECT_EQ(refusal("DescribeTaskDefinition", {{"taskDefinition", "web:x"}}),
            "InvalidParameterException: Invalid revision number. Number: x");
  EXPECT_THAT(refusal("DescribeTaskDefinition", {{"taskDefinition", "arn:aws:ecs:us-east-1:999999999999:task-definition/web:1"}}),
              StartsWith("InvalidParameterException: Identifier is for 999999999999."));
}

TEST_F(TaskDefinitions, TagsAreShownOnlyWhenAsked) {
  auto input = definition();
  input["tags"] = Json::parse(R"([{"key": "team", "value": "x"}])");
  define(input);
  EXPECT_EQ(must("DescribeTaskDefinition", {{"taskDefinition", "web"}})["tags"], Json::array());
  EXPECT_EQ(must("DescribeTaskDefinition", {{"taskDefinition", "web"}, {"include", {"TAGS"}}})["tags"], input["tags"]);
}

TEST_F(TaskDefinitions, ADeregisteredOneIsInactiveStaysDescribableAndItsNumberIsNotGivenAgain) {
  define(definition());
  const auto gone = must("DeregisterTaskDefinition", {{"taskDefinition", "web:1"}})["taskDefinition"];
  EXPECT_EQ(gone["status"], "INACTIVE");
  EXPECT_TRUE(gone.contains("deregisteredAt"));
  EXPECT_EQ(must("DescribeTaskDefinition", {{"taskDefinition", "web:1"}})["taskDefinition"]["status"], "INACTIVE");
  EXPECT_EQ(refusal("DescribeTaskDefinition", {{"taskDefinition", "web"}}),
            "ClientException: Unable to describe task definition.");
  EXPECT_EQ(define(definition()), arn("web:2"));
  EXPECT_THAT(refusal("DeregisterTaskDefinition", {{"taskDefinition", "web:7"}}),
              StartsWith("ClientException: The specified task definition does not exist."));
}

TEST_F(TaskDefinitions, OnlyInactiveOnesAreDeletedAndTheOthersSayWhy) {
  for (int i = 0; i < 2; ++i) define(definition());
  must("DeregisterTaskDefinition", {{"taskDefinition", "web:1"}});
  const auto answer = must("DeleteTaskDefinitions", {{"taskDefinitions", {"web:1", "web:2", "web:9"}}});
  ASSERT_EQ(answer["taskDefinitions"].size(), 1U);
  EXPECT_EQ(answer["taskDefinitions"][0]["status"], "DELETE_IN_PROGRESS");
  ASSERT_EQ(answer["failures"].size(), 2U);
  EXPECT_THAT(refusal("DescribeTaskDefinition", {{"taskDefinition", "web:1"}}), StartsWith("ClientException"));
  EXPECT_EQ(define(definition()), arn("web:3"));
}

TEST_F(TaskDefinitions, AreListedByNumberNotByText) {
  for (int i = 0; i < 11; ++i) define(definition());
  define(definition("api"));
  must("DeregisterTaskDefinition", {{"taskDefinition", "web:3"}});
  EXPECT_EQ(listed({{"familyPrefix", "api"}}), std::vector{arn("api:1")});
  const auto all = listed(Json::object());
  ASSERT_EQ(all.size(), 11U);
  EXPECT_EQ(all.front(), arn("api:1"));
  EXPECT_EQ(all[9], arn("web:10"));
  EXPECT_EQ(listed({{"sort", "DESC"}, {"maxResults", 2}}), (std::vector{arn("web:11"), arn("web:10")}));
  EXPECT_EQ(listed({{"status", "INACTIVE"}}), std::vector{arn("web:3")});
  const auto page = must("ListTaskDefinitions", {{"sort", "DESC"}, {"maxResults", 2}});
  EXPECT_EQ(listed({{"sort", "DESC"}, {"maxResults", 1}, {"nextToken", page["nextToken"]}}), std::vector{arn("web:9")});
}

TEST_F(TaskDefinitions, FamiliesAreActiveWhileOneRevisionIs) {
  define(definition("api"));
  define(definition("web"));
  must("DeregisterTaskDefinition", {{"taskDefinition", "api:1"}});
  EXPECT_EQ(must("ListTaskDefinitionFamilies", Json::object())["families"], Json::array({"web"}));
  EXPECT_EQ(must("ListTaskDefinitionFamilies", {{"status", "INACTIVE"}})["families"], Json::array({"api"}));
  EXPECT_EQ(must("ListTaskDefinitionFamilies", {{"status", "ALL"}, {"familyPrefix", "a"}})["families"], Json::array({"api"}));
}

TEST_F(TaskDefinitions, SurviveARestart) {
  define(definition());
  world.restart();
  service = make_ecs(world.plane());
  EXPECT_EQ(must("DescribeTaskDefinition", {{"taskDefinition", "web:1"}})["taskDefinition"]["family"], "web");
  EXPECT_EQ(define(definition()), arn("web:2"));
}

// Each patch makes a definition that is refused with words that hold `text`.
struct Refusal {
  const char* base;  // "ec2" or "fargate"
  const char* patch;
  const char* text;
};
class RefusedDefinition : public EcsWorld, public ::testing::WithParamInterface<Refusal> {};

TEST_P(RefusedDefinition, SaysWhatIsWrong) {
  auto input = GetParam().base == std::string("ec2") ? definition() : fargate_definition();
  input.merge_patch(Json::parse(GetParam().patch));
  EXPECT_THAT(refusal("RegisterTaskDefinition", input), StartsWith("ClientException: "));
  EXPECT_THAT(refusal("RegisterTaskDefinition", input), HasSubstr(GetParam().text));
  EXPECT_EQ(must("ListTaskDefinitions", Json::object())["taskDefinitionArns"], Json::array());
}

INSTANTIATE_TEST_SUITE_P(
    Definitions, RefusedDefinition,
    ::testing::Values(
        Refusal{"ec2", R"({"family": "a/b"})", "Family contains invalid characters."},
        Refusal{"ec2", R"({"containerDefinitions": []})", "Container list cannot be empty."},
        Refusal{"ec2", R"({"containerDefinitions": [{"name": "a", "memory": 8}]})",
                "Container.image should not be null or empty."},
        Refusal{"ec2", R"({"containerDefinitions": [{"name": "a b", "image": "i", "memory": 8}]})",
                "Container.name contains invalid characters."},
        Refusal{"ec2", R"({"containerDefinitions": [{"name": "a", "image": "i"}]})",
                "At least one of 'memory' or 'memoryReservation' must be specified."},
        Refusal{"ec2", R"({"containerDefinitions": [{"name": "a", "image": "i", "memory": 8, "memoryReservation": 9}]})",
                "must be greater than the 'memoryReservation'"},
        Refusal{"ec2", R"({"containerDefinitions": [{"name": "a", "image": "i", "memory": 8, "essential": false}]})",
                "at least one essential container"},
        Refusal{
            "ec2",
            R"({"containerDefinitions": [{"name": "a", "image": "i", "memory": 8}, {"name": "a", "image": "i", "memory": 8}]})",
            "must be unique"},
        Refusal{"ec2", R"({"cpu": "many"})", "Invalid 'cpu' setting for task."},
        Refusal{"ec2", R"({"cpu": "64"})", "Invalid 'cpu' setting for task."},
        Refusal{"ec2", R"({"memory": "-1"})", "Invalid 'memory' setting for task."},
        Refusal{"ec2", R"({"memory": "100"})", "The 'memory' setting for container is greater than for the task."},
        Refusal{"ec2", R"({"taskRoleArn": "arn:aws:iam::123456789012:user/x"})", "Role is not valid"},
        Refusal{
            "ec2",
            R"({"containerDefinitions": [{"name": "a", "image": "i", "memory": 8, "mountPoints": [{"sourceVolume": "v", "containerPath": "/v"}]}]})",
            "Unknown volume 'v'."},
        Refusal{"ec2", R"({"volumes": [{"name": "v"}, {"name": "v"}]})", "'v' comes twice"},
        Refusal{"ec2", R"({"volumes": [{"name": "v", "host": {}, "efsVolumeConfiguration": {"fileSystemId": "fs-1"}}]})",
                "only one is allowed"},
        Refusal{
            "ec2",
            R"({"volumes": [{"name": "v", "efsVolumeConfiguration": {"fileSystemId": "fs-1", "authorizationConfig": {"iam": "ENABLED"}}}]})",
            "requires transitEncryption to be ENABLED"},
        Refusal{
            "ec2",
            R"({"volumes": [{"name": "v", "efsVolumeConfiguration": {"fileSystemId": "fs-1", "authorizationConfig": {"accessPointId": "fsap-1"}}}]})",
            "requires transitEncryption to be ENABLED"},
        Refusal{
            "ec2",
            R"({"volumes": [{"name": "v", "efsVolumeConfiguration": {"fileSystemId": "fs-1", "rootDirectory": "/x", "transitEncryption": "ENABLED", "authorizationConfig": {"accessPointId": "fsap-1"}}}]})",
            "the root directory must either be set to \"/\" or be omitted"},
        Refusal{
            "ec2",
            R"({"containerDefinitions": [{"name": "a", "image": "i", "memory": 8, "dependsOn": [{"containerName": "b", "condition": "START"}]}]})",
            "not in the task definition"},
        Refusal{
            "ec2",
            R"({"containerDefinitions": [{"name": "a", "image": "i", "memory": 8, "dependsOn": [{"containerName": "b", "condition": "START"}]},
                                                    {"name": "b", "image": "i", "memory": 8, "dependsOn": [{"containerName": "a", "condition": "START"}]}]})",
            "form a cycle"},
        Refusal{
            "ec2",
            R"({"containerDefinitions": [{"name": "a", "image": "i", "memory": 8, "dependsOn": [{"containerName": "b", "condition": "HEALTHY"}]},
                                                    {"name": "b", "image": "i", "memory": 8}]})",
            "has no health check"},
        Refusal{
            "ec2",
            R"({"containerDefinitions": [{"name": "a", "image": "i", "memory": 8, "dependsOn": [{"containerName": "b", "condition": "SUCCESS"}]},
                                                    {"name": "b", "image": "i", "memory": 8}]})",
            "essential container can't have"},
        Refusal{"ec2",
                R"({"containerDefinitions": [{"name": "a", "image": "i", "memory": 8, "healthCheck": {"command": ["true"]}}]})",
                "must begin with CMD"},
        Refusal{"ec2", R"({"placementConstraints": [{"type": "memberOf", "expression": "attribute:x =="}]})",
                "Invalid expression"},
        Refusal{"ec2", R"({"requiresCompatibilities": ["MANAGED_INSTANCES"]})", "MANAGED_INSTANCES"},
        Refusal{"fargate", R"({"networkMode": "bridge"})", "Fargate only supports network mode"},
        Refusal{"fargate", R"({"cpu": null})", "Fargate requires that 'cpu' be defined at the task level."},
        Refusal{"fargate", R"({"memory": null})", "Fargate requires that 'memory' be defined at the task level."},
        Refusal{"fargate", R"({"memory": "4096"})", "No Fargate configuration exists for given values."},
        Refusal{"fargate", R"({"volumes": [{"name": "v", "host": {"sourcePath": "/v"}}]})",
                "host.sourcePath should not be set for volumes in Fargate."},
        Refusal{"fargate", R"({"containerDefinitions": [{"name": "a", "image": "i", "privileged": true}]})",
                "do not support privileged"},
        Refusal{"fargate",
                R"({"containerDefinitions": [{"name": "a", "image": "i", "logConfiguration": {"logDriver": "awslogs"}}]})",
                "Fargate requires task definition to have execution role ARN to support log driver awslogs."},
        Refusal{"fargate", R"({"containerDefinitions": [{"name": "a", "image": "i", "hostname": "h"}]})",
                "hostname is not supported on container when networkMode=awsvpc."},
        Refusal{
            "fargate",
            R"({"containerDefinitions": [{"name": "a", "image": "i", "portMappings": [{"containerPort": 80, "hostPort": 81}]}]})",
            "the host ports and container ports in port mappings must match."}));

}  // namespace
}  // namespace berth::services::ecs

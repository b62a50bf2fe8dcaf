#include "broker/launch/launcher.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "broker/control/task_endpoint.hpp"
#include "tests/support/task_world.hpp"

namespace berth::launch {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Key;
using ::testing::Not;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::StartsWith;
using Json = nlohmann::json;
using testing::TaskWorld;

class LauncherTest : public ::testing::Test {
 protected:
  LauncherTest() {
    world.put_file_system_policy(testing::kEncryptedOnly);
    world.make_role("writer", {"elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"});
    world.define(definition);
  }
  Launcher launcher() { return Launcher(world.plane(), {.file_systems = "/state/file-systems", .front_door_port = 4581}); }
  runtime::TaskLaunch prepare(const cluster_sim::TaskId& task) {
    auto prepared = launcher().prepare(task);
    if (!prepared) ADD_FAILURE() << prepared.error().message;
    return prepared.value_or(runtime::TaskLaunch{});
  }
  std::string why_not(const Json& changed_definition, const std::string& role = "writer") {
    world.define(changed_definition);
    const auto prepared = launcher().prepare(world.run(role));
    return prepared ? "prepared" : prepared.error().message;
  }

  TaskWorld world;
  Json definition = TaskWorld::a_definition();
};

TEST_F(LauncherTest, ATaskHasItsInterfaceItsSizeAndItsShare) {
  const auto task = world.run("writer");
  const auto launch = prepare(task);
  EXPECT_EQ(launch.id.str(), task.str());
  EXPECT_EQ(launch.network, runtime::NetworkMode::awsvpc);
  ASSERT_TRUE(launch.interface);
  EXPECT_EQ(launch.interface->address, "10.0.1.4");
  EXPECT_EQ(launch.interface->gateway, "10.0.1.1");
  EXPECT_EQ(launch.interface->prefix_length, 24U);
  EXPECT_EQ(launch.hostname, "ip-10-0-1-4.ec2.internal");
  EXPECT_EQ(launch.cpu, 256U);
  EXPECT_EQ(launch.memory_mib, 512U);
  ASSERT_THAT(launch.volumes, SizeIs(1));
  EXPECT_EQ(launch.volumes[0].kind, runtime::Volume::Kind::efs);
  EXPECT_EQ(launch.volumes[0].share->root, "/service");
  EXPECT_TRUE(launch.volumes[0].share->rights.write);
}

TEST_F(LauncherTest, ContainersGetWhatEcsInjects) {
  const auto task = world.run("writer");
  const auto environment = prepare(task).containers.at(0).environment;
  const auto endpoint =
      world.plane().read([&](const control::Control& c) { return control::find_task_endpoint(c.documents, task.str()); });
  ASSERT_TRUE(endpoint);
  const auto id = endpoint->containers.at("app");
  EXPECT_EQ(environment, (std::map<std::string, std::string>{
                             {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/" + endpoint->credentials_id},
                             {"AWS_DEFAULT_REGION", "us-east-1"},
                             {"AWS_ENDPOINT_URL", "http://169.254.170.2:4581"},
                             {"AWS_EXECUTION_ENV", "AWS_ECS_FARGATE"},
                             {"AWS_REGION", "us-east-1"},
                             {"ECS_AGENT_URI", "http://169.254.170.2/api/" + id},
                             {"ECS_CONTAINER_METADATA_URI", "http://169.254.170.2/v3/" + id},
                             {"ECS_CONTAINER_METADATA_URI_V4", "http://169.254.170.2/v4/" + id}}));
}

TEST_F(LauncherTest, WithoutATaskRoleThereIsNoPathToCredentials) {
  definition.erase("volumes");
  definition["containerDefinitions"][0].erase("mountPoints");
  world.define(definition);
  EXPECT_THAT(prepare(world.run("")).containers.at(0).environment, Not(Contains(Key("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"))));
}

TEST_F(LauncherTest, TheUsersRegionAndEndpointStand) {
  definition["containerDefinitions"][0]["environment"] =
      Json::parse(R"([{"name": "AWS_DEFAULT_REGION", "value": "eu-north-1"}, {"name": "AWS_ENDPOINT_URL", "value": "http://own"},
                      {"name": "AWS_EXECUTION_ENV", "value": "mine"}])");
  world.define(definition);
  const auto environment = prepare(world.run("writer")).containers.at(0).environment;
  EXPECT_THAT(environment, Contains(Pair("AWS_DEFAULT_REGION", "eu-north-1")));
  EXPECT_THAT(environment, Not(Contains(Key("AWS_REGION"))));
  EXPECT_THAT(environment, Contains(Pair("AWS_ENDPOINT_URL", "http://own")));
  EXPECT_THAT(environment, Contains(Pair("AWS_EXECUTION_ENV", "AWS_ECS_FARGATE")));
}

TEST_F(LauncherTest, AnOverrideReplacesTheCommandAndMergesTheEnvironment) {
  definition["containerDefinitions"][0]["environment"] =
      Json::parse(R"([{"name": "A", "value": "1"}, {"name": "B", "value": "1"}])");
  definition["containerDefinitions"][0]["memory"] = 256;
  world.define(definition);
  auto document = TaskWorld::a_document("writer");
  document["overrides"] = Json::parse(R"({"containerOverrides": [{"name": "app", "command": ["echo", "hi"], "memory": 128,
      "environment": [{"name": "B", "value": "2"}, {"name": "C", "value": "3"}]}]})");
  const auto container = prepare(world.run(document, world.network.subnet_a)).containers.at(0);
  EXPECT_THAT(container.command, ElementsAre("echo", "hi"));
  EXPECT_EQ(container.memory_mib, 128U);
  EXPECT_THAT(container.environment, Contains(Pair("A", "1")));
  EXPECT_THAT(container.environment, Contains(Pair("B", "2")));
  EXPECT_THAT(container.environment, Contains(Pair("C", "3")));
}

TEST_F(LauncherTest, AContainerIsAsItsDefinitionSays) {
  definition["containerDefinitions"][0] = Json::parse(R"({
      "name": "app", "image": "/images/app", "essential": false, "entryPoint": ["/bin/e"], "workingDirectory": "/w", "user": "1:2",
      "cpu": 64, "memoryReservation": 100, "readonlyRootFilesystem": true, "stopTimeout": 5, "hostname": "h",
      "linuxParameters": {"initProcessEnabled": true, "capabilities": {"add": ["SYS_PTRACE"], "drop": ["MKNOD"]}},
      "ulimits": [{"name": "nofile", "softLimit": 10, "hardLimit": 20}],
      "dependsOn": [{"containerName": "other", "condition": "HEALTHY"}],
      "healthCheck": {"command": ["CMD", "true"], "interval": 10},
      "mountPoints": [{"sourceVolume": "data", "containerPath": "/data", "readOnly": true}]})");
  world.define(definition);
  const auto c = prepare(world.run("writer")).containers.at(0);
  EXPECT_FALSE(c.essential);
  EXPECT_THAT(c.entry_point, ElementsAre("/bin/e"));
  EXPECT_EQ(c.user, "1:2");
  EXPECT_EQ(c.cpu, 64U);
  EXPECT_EQ(c.memory_reservation_mib, 100U);
  EXPECT_TRUE(c.read_only_root && c.init);
  EXPECT_EQ(c.stop_timeout, std::chrono::seconds(5));
  EXPECT_THAT(c.add_capabilities, ElementsAre("SYS_PTRACE"));
  EXPECT_THAT(c.drop_capabilities, ElementsAre("MKNOD"));
  ASSERT_THAT(c.ulimits, SizeIs(1));
  EXPECT_EQ(c.ulimits[0].hard, 20U);
  ASSERT_THAT(c.depends_on, SizeIs(1));
  EXPECT_EQ(c.depends_on[0].condition, "HEALTHY");
  EXPECT_EQ(c.health_check->interval, std::chrono::seconds(10));
  EXPECT_EQ(c.health_check->retries, 3U);
  ASSERT_THAT(c.mount_points, SizeIs(1));
  EXPECT_TRUE(c.mount_points[0].read_only);
}

TEST_F(LauncherTest, VolumesOfTheHostAndOfTheTaskNeedNoShare) {
  definition["volumes"] = Json::parse(R"([{"name": "data", "host": {"sourcePath": "/srv"}}, {"name": "tmp", "host": {}},
      {"name": "cache", "dockerVolumeConfiguration": {"scope": "task", "driver": "local"}}])");
  world.define(definition);
  const auto volumes = prepare(world.run("writer")).volumes;
  ASSERT_THAT(volumes, SizeIs(3));
  EXPECT_EQ(volumes[0].kind, runtime::Volume::Kind::host);
  EXPECT_EQ(volumes[0].host_path, "/srv");
  EXPECT_EQ(volumes[1].kind, runtime::Volume::Kind::scratch);
  EXPECT_EQ(volumes[2].kind, runtime::Volume::Kind::scratch);
}

TEST_F(LauncherTest, WhatATaskCanNotHaveStopsItBeforeItStarts) {
  auto changed = definition;
  changed["containerDefinitions"][0]["secrets"] = Json::parse(R"([{"name": "X", "valueFrom": "arn:..."}])");
  EXPECT_THAT(why_not(changed), HasSubstr("Secrets Manager"));
  changed = definition;
  changed["networkMode"] = "host";
  EXPECT_THAT(why_not(changed), HasSubstr("never gets the host's network"));
  changed = definition;
  changed["volumes"][0]["efsVolumeConfiguration"]["transitEncryption"] = "DISABLED";
  EXPECT_THAT(why_not(changed), HasSubstr("needs transitEncryption ENABLED"));
  changed = definition;
  changed["volumes"][0]["efsVolumeConfiguration"]["rootDirectory"] = "/elsewhere";
  EXPECT_THAT(why_not(changed), HasSubstr("rootDirectory must be left out or /"));
  changed = definition;
  changed["containerDefinitions"][0]["mountPoints"][0]["sourceVolume"] = "nowhere";
  EXPECT_THAT(why_not(changed), HasSubstr("not a volume of the task"));
}

TEST_F(LauncherTest, ARoleThatDoesNotTrustEcsStopsTheTask) {
  world.make_role("lambda", {"elasticfilesystem:*"}, "lambda.amazonaws.com");
  EXPECT_THAT(why_not(definition, "lambda"),
              StartsWith("ECS was unable to assume the role 'arn:aws:iam::123456789012:role/lambda'"));
  EXPECT_THAT(why_not(definition, "nobody"), HasSubstr("there is no such role"));
}

TEST_F(LauncherTest, TheEndpointsNamesOutliveTheDaemon) {
  const auto task = world.run("writer");
  const auto before = prepare(task).containers.at(0).environment;
  world.restart();
  EXPECT_EQ(prepare(task).containers.at(0).environment, before);
}

TEST_F(LauncherTest, AForgottenTaskLeavesNothingInTheStore) {
  const auto task = world.run("writer");
  prepare(task);
  launcher().forget(task);
  world.restart();
  EXPECT_FALSE(
      world.plane().read([&](const control::Control& c) { return control::find_task_endpoint(c.documents, task.str()); }));
}

TEST_F(LauncherTest, GrantsFollowThePoliciesOfNow) {
  const auto task = world.run("writer");
  auto grants = launcher().grants_for(task);
  ASSERT_THAT(grants, SizeIs(1));
  EXPECT_EQ(grants[0].mount.str(), task.str() + "/data");
  EXPECT_TRUE(grants[0].grant.mount && grants[0].grant.rights.write);
  world.decide([&](control::Control& c) {
    const auto edited = c.edit_identities().update_role("writer", [](credentials::Role& role) -> Result<> {
      role.inline_policies =
          TaskWorld::a_role("writer", {"elasticfilesystem:ClientMount"}, "ecs-tasks.amazonaws.com").inline_policies;
      return {};
    });
    ASSERT_TRUE(edited);
  });
  grants = launcher().grants_for(task);
  EXPECT_TRUE(grants.at(0).grant.mount);
  EXPECT_FALSE(grants.at(0).grant.rights.write);
  world.decide([&](control::Control& c) { c.catalog.erase(fuse::MountTargetId("fsmt-1")); });
  EXPECT_FALSE(launcher().grants_for(task).at(0).grant.mount);
}

}  // namespace
}  // namespace berth::launch

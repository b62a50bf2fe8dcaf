#include "broker/services/task_metadata/service.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "broker/control/task_endpoint.hpp"
#include "broker/services/task_metadata/paths.hpp"
#include "tests/support/task_world.hpp"

namespace berth::services::task_metadata {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;
using ::testing::StartsWith;
using Json = nlohmann::json;

class Endpoint : public ::testing::Test {
 protected:
  Endpoint() {
    auto definition = testing::TaskWorld::a_definition();
    definition["containerDefinitions"][0]["cpu"] = 64;
    definition["containerDefinitions"][0]["memory"] = 256;
    world.define(definition);
    task = add_task("writer");
    other = add_task("reader");
  }
  // A task with an endpoint, as the launcher leaves it.
  cluster_sim::TaskId add_task(const std::string& role) {
    const auto id = world.run(role);
    world.decide([&](control::Control& c) {
      put_task_endpoint(c.documents, id.str(),
                        control::make_task_endpoint(c.random, testing::TaskWorld::role_arn(role), {"app"}));
    });
    return id;
  }
  control::TaskEndpoint endpoint_of(const cluster_sim::TaskId& id) {
    return world.plane().read([&](const control::Control& c) { return find_task_endpoint(c.documents, id.str()).value(); });
  }
  std::string metadata_id() { return endpoint_of(task).containers.at("app"); }

  http::Response get(const std::string& target) { return get(task, target); }
  http::Response get(const cluster_sim::TaskId& from, const std::string& target) {
    return service.handle({.method = "GET", .target = target, .peer = "127.0.0.1", .listener = "task:" + from.str()});
  }
  Json json(const std::string& target) {
    const auto response = get(target);
    EXPECT_EQ(response.status, 200) << response.body;
    return Json::parse(response.body);
  }

  // Knows the credentials of each task by its id, and of a third one none.
  std::expected<RoleCredentials, NoCredentials> credentials(const cluster_sim::TaskId& asking, const std::string& id) {
    if (no_credentials) return std::unexpected(NoCredentials::not_available);
    if (endpoint_of(asking).credentials_id != id) return std::unexpected(NoCredentials::unknown_id);
    return RoleCredentials{testing::TaskWorld::role_arn("writer"),
                           {"ASIAEXAMPLE", Secret("secret"), "token", *parse_time("2026-11-23T11:00:00Z")}};
  }

  testing::TaskWorld world;
  bool no_credentials = false;
  TaskMetadata service{world.plane(), world.clock(), [this](const cluster_sim::TaskId& asking, const std::string& id, TimePoint) {
                         return credentials(asking, id);
                       }};
  cluster_sim::TaskId task, other;
};

TEST_F(Endpoint, CredentialsHaveTheAgentsMembersInItsOrder) {
  const auto id = endpoint_of(task).credentials_id;
  constexpr const char* kExpected =
      R"({"RoleArn":"arn:aws:iam::123456789012:role/writer","AccessKeyId":"ASIAEXAMPLE","SecretAccessKey":"secret","Token":"token",)"
      R"("Expiration":"2026-11-23T11:00:00Z"})";
  const auto response = get("/v2/credentials/" + id);
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, kExpected);
  EXPECT_THAT(response.headers, Contains(Pair("Content-Type", "application/json")));
  EXPECT_EQ(get("/v1/credentials?id=" + id).body, kExpected);
}

TEST_F(Endpoint, CredentialErrorsReadAsTheAgents) {
  const auto no_id = get("/v2/credentials/");
  EXPECT_EQ(no_id.status, 400);
  EXPECT_EQ(no_id.body,
            R"({"code":"NoIdInRequest","message":"CredentialsV2Request: No Credential ID in the request","HTTPErrorCode":400})");
  EXPECT_THAT(get("/v1/credentials").body, HasSubstr("CredentialsV1Request: No Credential ID in the request"));
  const auto unknown = get("/v2/credentials/0123");
  EXPECT_EQ(unknown.status, 400);
  EXPECT_EQ(unknown.body,
            R"({"code":"InvalidIdInRequest","message":"CredentialsV2Request: Credentials not found","HTTPErrorCode":400})");
  no_credentials = true;
  const auto not_yet = get("/v2/credentials/" + endpoint_of(task).credentials_id);
  EXPECT_EQ(not_yet.status, 503);
  EXPECT_EQ(
      not_yet.body,
      R"({"code":"CredentialsUninitialized","message":"CredentialsV2Request: Credentials uninitialized for ID","HTTPErrorCode":503})");
}

TEST_F(Endpoint, AnotherTasksNamesAreUnknownHere) {
  const auto theirs = endpoint_of(task);
  const auto credentials_asked = get(other, "/v2/credentials/" + theirs.credentials_id);
  EXPECT_EQ(credentials_asked.status, 400);
  EXPECT_THAT(credentials_asked.body, HasSubstr("InvalidIdInRequest"));
  const auto metadata_asked = get(other, "/v4/" + theirs.containers.at("app"));
  EXPECT_EQ(metadata_asked.status, 404);
  EXPECT_THAT(metadata_asked.body, Not(HasSubstr(task.str())));
}

TEST_F(Endpoint, OnlyATasksListenerIsServed) {
  const auto path = "/v2/credentials/" + endpoint_of(task).credentials_id;
  EXPECT_EQ(service.handle({.method = "GET", .target = path, .listener = "front-door"}).status, 404);
}

TEST_F(Endpoint, ATaskReadsItsOwnMetadata) {
  world.report(task, cluster_sim::PullStarted{});
  world.report(task, cluster_sim::PullStopped{});
  world.report(task, cluster_sim::ContainerStarted{"app", "runtime-id"});
  world.report(task, cluster_sim::TaskRunning{});
  const auto answer = json("/v4/" + metadata_id() + "/task");
  EXPECT_EQ(answer["Cluster"], "arn:aws:ecs:us-east-1:123456789012:cluster/demo");
  EXPECT_EQ(answer["TaskARN"], "arn:aws:ecs:us-east-1:123456789012:task/demo/" + task.str());
  EXPECT_EQ(answer["Family"], "web");
  EXPECT_EQ(answer["Revision"], "1");
  EXPECT_EQ(answer["DesiredStatus"], "RUNNING");
  EXPECT_EQ(answer["KnownStatus"], "RUNNING");
  EXPECT_EQ(answer["AvailabilityZone"], "us-east-1a");
  EXPECT_EQ(answer["LaunchType"], "FARGATE");
  EXPECT_EQ(answer["VPCID"], world.network.vpc.str());
  EXPECT_EQ(answer["Limits"], Json({{"CPU", 0.25}, {"Memory", 512}}));
  EXPECT_EQ(answer["FaultInjectionEnabled"], false);
  EXPECT_EQ(answer["PullStartedAt"], "2026-11-23T05:00:00.000000Z");
  ASSERT_EQ(answer["Containers"].size(), 1U);
  EXPECT_EQ(answer["Containers"][0], json("/v4/" + metadata_id()));
}

TEST_F(Endpoint, AContainerReadsItsOwnMetadata) {
  world.report(task, cluster_sim::ContainerStarted{"app", "runtime-id"});
  const auto answer = json("/v4/" + metadata_id());
  EXPECT_EQ(answer["DockerId"], "runtime-id");
  EXPECT_EQ(answer["Name"], "app");
  EXPECT_THAT(answer["DockerName"].get<std::string>(), StartsWith("ecs-web-1-app-"));
  EXPECT_EQ(answer["Image"], "host");
  EXPECT_EQ(answer["Labels"]["com.amazonaws.ecs.task-arn"], "arn:aws:ecs:us-east-1:123456789012:task/demo/" + task.str());
  EXPECT_EQ(answer["Limits"], Json({{"CPU", 64}, {"Memory", 256}}));
  EXPECT_EQ(answer["Type"], "NORMAL");
  EXPECT_EQ(answer["ContainerARN"], "arn:aws:ecs:us-east-1:123456789012:container/demo/" + task.str() + "/0-1-2")
      << "as in DescribeTasks";
  const auto& network = answer["Networks"][0];
  EXPECT_EQ(network["NetworkMode"], "awsvpc");
  EXPECT_EQ(network["IPv4Addresses"], Json::array({"10.0.1.4"}));
  EXPECT_EQ(network["IPv4SubnetCIDRBlock"], "10.0.1.0/24");
  EXPECT_EQ(network["PrivateDNSName"], "ip-10-0-1-4.ec2.internal");
  EXPECT_EQ(network["SubnetGatewayIpv4Address"], "10.0.1.1/24");
}

TEST_F(Endpoint, MetadataIsThereBeforeTheRuntimeHasReportedTheContainer) {
  const auto answer = json("/v4/" + metadata_id());
  EXPECT_EQ(answer["KnownStatus"], "NONE");
  EXPECT_EQ(answer["DockerId"], metadata_id());
}

TEST_F(Endpoint, VersionThreeKnowsLess) {
  const auto answer = json("/v3/" + metadata_id() + "/task");
  EXPECT_EQ(answer["AvailabilityZone"], "us-east-1a");
  EXPECT_FALSE(answer.contains("LaunchType"));
  EXPECT_EQ(answer["Containers"][0]["Networks"], Json::parse(R"([{"NetworkMode": "awsvpc", "IPv4Addresses": ["10.0.1.4"]}])"));
}

TEST_F(Endpoint, TagsAreShownWhereTheyAreAskedFor) {
  world.decide([&](control::Control& c) { c.cluster.edit(task)->tags = {{"team", "x"}}; });
  EXPECT_FALSE(json("/v4/" + metadata_id() + "/task").contains("TaskTags"));
  EXPECT_EQ(json("/v4/" + metadata_id() + "/taskWithTags")["TaskTags"], Json({{"team", "x"}}));
}

TEST_F(Endpoint, AnUnknownNameIsToldInTheAgentsWords) {
  const auto container = get("/v4/nobody");
  EXPECT_EQ(container.status, 404);
  EXPECT_EQ(
      container.body,
      R"("V4 container metadata handler: unable to get container ID from request: unable to get docker ID from v3 endpoint ID: nobody")");
  EXPECT_EQ(
      get("/v4/nobody/task").body,
      R"("V4 task metadata handler: unable to get task arn from request: unable to get task Arn from v3 endpoint ID: nobody")");
}

TEST_F(Endpoint, WhatIsNotBuiltSaysSo) {
  EXPECT_EQ(get("/v4/" + metadata_id() + "/stats").status, 404);
  EXPECT_THAT(get("/v4/" + metadata_id() + "/stats").body, HasSubstr("Berth has no container stats yet"));
  const auto protection = get("/api/" + metadata_id() + "/task-protection/v1/state");
  EXPECT_EQ(protection.status, 501);
  EXPECT_EQ(Json::parse(protection.body)["error"]["Code"], "NotImplemented");
}

TEST_F(Endpoint, OtherPathsAreGosOwn404) {
  for (const char* path : {"/", "/v2/credentials", "/v2/credentialsx", "/v5/x", "/v4", "/latest/meta-data"}) {
    const auto response = get(path);
    EXPECT_EQ(response.status, 404) << path;
    EXPECT_EQ(response.body, "404 page not found\n") << path;
  }
  EXPECT_EQ(get("/v4/" + metadata_id() + "/nothing").status, 404);
  EXPECT_EQ(get("/v2/%zz").status, 400);
}

TEST_F(Endpoint, APathWithTwoSlashesIsSentToTheCleanOne) {
  const auto response = get("//v2//credentials/x?a=b");
  EXPECT_EQ(response.status, 301);
  EXPECT_THAT(response.headers, Contains(Pair("Location", "/v2/credentials/x?a=b")));
  EXPECT_EQ(clean_path("/a/./b/../c/"), "/a/c/");
  EXPECT_EQ(clean_path("/../.."), "/");
}

TEST_F(Endpoint, APathIsLimitedByItselfAndTheLimitPasses) {
  const auto path = "/v2/credentials/" + endpoint_of(task).credentials_id;
  for (int i = 0; i < 60; ++i) ASSERT_EQ(get(path).status, 200) << i;
  const auto limited = get(path);
  EXPECT_EQ(limited.status, 429);
  EXPECT_EQ(limited.body, "You have reached maximum request limit.");
  EXPECT_THAT(limited.headers, Contains(Pair("X-Rate-Limit-Limit", "40.00")));
  EXPECT_EQ(get("/v4/" + metadata_id()).status, 200) << "another path has a limit of its own";
  EXPECT_EQ(get(other, path).status, 400) << "and so has another task";
  world.clock().advance(std::chrono::milliseconds(25));
  EXPECT_EQ(get(path).status, 200);
  EXPECT_EQ(get(path).status, 429);
}

TEST(RateLimit, ManyPathsDoNotGrowItWithoutEnd) {
  RateLimit limit(40, 60);
  TimePoint now{};
  for (int i = 0; i < 100'000; ++i) {
    now += std::chrono::milliseconds(1);
    ASSERT_TRUE(limit.allow("path " + std::to_string(i), now));
  }
  EXPECT_LE(limit.size(), 4097U);
}

TEST(RateLimit, ZeroIsNoLimit) {
  RateLimit limit(0, 0);
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(limit.allow("x", TimePoint{}));
}

}  // namespace
}  // namespace berth::services::task_metadata

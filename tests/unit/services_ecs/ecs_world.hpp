// The ECS service over a real control plane with the cluster `demo`.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "broker/protocol/model.hpp"
#include "broker/services/ecs/service.hpp"
#include "tests/support/service_world.hpp"
#include "tests/support/task_world.hpp"
#include "tests/unit/services_ecs/shape_check.hpp"

namespace berth::services::ecs {

using api::Json;

inline constexpr const char* kArn = "arn:aws:ecs:us-east-1:123456789012:";

class EcsWorld : public testing::ServiceWorld<testing::TaskWorld> {
 protected:
  std::vector<const api::Service*> services() const override { return {&service}; }

  // Input, answer and error code are held against the shape table.
  api::Outcome<Json> call(const std::string& operation, const Json& input) override {
    const auto* table = protocol::Model::find("ecs");
    const auto* shapes = table->operation(operation);
    testing::expect_shape(*shapes->input, input, operation);
    auto answer = ServiceWorld::call(operation, input);
    if (answer)
      testing::expect_shape(*shapes->output, *answer, operation);
    else
      EXPECT_NE(table->error(answer.error().code), nullptr) << answer.error().code;
    return answer;
  }

  // A container with what every definition must say of it.
  static Json container(const std::string& name = "app") { return {{"name", name}, {"image", "host"}, {"memory", 128}}; }
  static Json definition(const std::string& family = "web") {
    return {{"family", family}, {"containerDefinitions", {container()}}};
  }
  static Json fargate_definition(const std::string& family = "web") {
    auto json = definition(family);
    json.update({{"networkMode", "awsvpc"}, {"cpu", "256"}, {"memory", "512"}, {"requiresCompatibilities", {"FARGATE"}}});
    return json;
  }
  std::string define(const Json& json) {
    return must("RegisterTaskDefinition", json)["taskDefinition"].value("taskDefinitionArn", "");
  }

  // The input of a RunTask on Fargate in the first zone.
  Json on_fargate(const std::string& task_definition = "web") const {
    return {{"cluster", "demo"},
            {"taskDefinition", task_definition},
            {"launchType", "FARGATE"},
            {"networkConfiguration", network_a()}};
  }
  Json network_a() const { return {{"awsvpcConfiguration", {{"subnets", {world.network.subnet_a.str()}}}}}; }

  // An instance that runs, and the input with which its agent registers it.
  Json registration(const std::string& type = "m5.large") {
    std::string id;
    world.decide([&](control::Control& c) {
      const auto made =
          c.cluster.run_instances(c.now, c.random, {.image_id = "ami-1", .instance_type = type}, world.network.subnet_a, 1, {})
              .value();
      c.cluster.instance_running(c.now, made.front(), "");
      id = made.front().str();
    });
    return {{"cluster", "demo"},
            {"instanceIdentityDocument", Json{{"instanceId", id}}.dump()},
            {"totalResources",
             {{{"name", "CPU"}, {"type", "INTEGER"}, {"integerValue", 2048}},
              {{"name", "MEMORY"}, {"type", "INTEGER"}, {"integerValue", 7600}},
              {{"name", "PORTS"}, {"type", "STRINGSET"}, {"stringSetValue", {"22", "51678"}}}}},
            {"attributes",
             {{{"name", "com.amazonaws.ecs.capability.docker-remote-api.1.18"}},
              {{"name", "ecs.capability.task-eni"}},
              {{"name", "ecs.capability.task-cpu-mem-limit"}},
              {{"name", "com.amazonaws.ecs.capability.task-iam-role"}},
              {{"name", "stack"}, {"value", "blue"}}}},
            {"versionInfo", {{"agentVersion", "1.105.1"}, {"dockerVersion", "none"}}}};
  }
  std::string register_instance() {
    return must("RegisterContainerInstance", registration())["containerInstance"].value("containerInstanceArn", "");
  }

  api::Service service = make_ecs(world.plane());
};

}  // namespace berth::services::ecs

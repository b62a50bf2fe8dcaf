// A small cloud to place tasks in: one VPC, a subnet in each of two zones, one ECS cluster.
#pragma once

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "cluster_sim/cluster.hpp"
#include "cluster_sim/images.hpp"

namespace berth::cluster_sim {

class Cloud : public ::testing::Test {
 protected:
  Cloud() {
    vpc = cluster.create_vpc(random, *parse_cidr("10.0.0.0/16"), {}).value();
    subnet_a = cluster.create_subnet(random, vpc, "us-east-1a", *parse_cidr("10.0.1.0/24"), {}).value();
    subnet_b = cluster.create_subnet(random, vpc, "us-east-1b", *parse_cidr("10.0.2.0/24"), {}).value();
    ecs = cluster.create_cluster("demo", "{}", {}).value();
  }

  // A running instance, registered with its type's full capacity.
  ContainerInstanceId add_instance(const std::string& type, const SubnetId& subnet) {
    const LaunchTemplateData data{.image_id = std::string(kEcsOptimizedImageId), .instance_type = type};
    const InstanceId id = cluster.run_instances(now, random, data, subnet, 1, {}).value().front();
    cluster.instance_running(now, id, "");
    const InstanceType& found = *find_instance_type(type);
    return cluster
        .register_container_instance(now, random,
                                     {.cluster = ecs,
                                      .instance = id,
                                      .cpu = static_cast<int>(found.vcpus) * 1024,
                                      .memory_mib = static_cast<int>(found.memory_mib)})
        .value();
  }

  static TaskRequirements small_task() {
    TaskRequirements needs;
    needs.task_definition_arn = "arn:aws:ecs:us-east-1:123456789012:task-definition/web:1";
    needs.cpu = 256;
    needs.memory_mib = 512;
    needs.containers = {"app"};
    needs.essential = {true};
    return needs;
  }
  RunTask request(int count = 1) const {
    RunTask run;
    run.cluster = ecs;
    run.requirements = small_task();
    run.count = count;
    return run;
  }
  RunTask awsvpc_request(std::vector<SubnetId> subnets, int count = 1) const {
    RunTask run = request(count);
    run.requirements.awsvpc = true;
    run.subnets = std::move(subnets);
    return run;
  }

  RunTaskResult run(const RunTask& wanted) {
    auto result = cluster.run_task(now, random, wanted);
    EXPECT_TRUE(result) << result.error().message;
    return result.value_or(RunTaskResult{});
  }
  std::string error_of(const RunTask& wanted) {
    auto result = cluster.run_task(now, random, wanted);
    return result ? "placed" : result.error().message;
  }
  const Task& task(const TaskId& id) const { return cluster.tasks().at(id); }
  ContainerInstanceId place_of(const TaskId& id) const { return task(id).container_instance.value(); }

  Cluster cluster{Settings{.account = "123456789012"}};
  SeededRandom random{7};
  TimePoint now = *parse_time("2026-11-23T05:00:00Z");
  VpcId vpc;
  SubnetId subnet_a, subnet_b;
  ClusterName ecs;
};

}  // namespace berth::cluster_sim

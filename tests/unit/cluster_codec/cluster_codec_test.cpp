// Every field of every record comes back as it was: each holds a value of its own here, none its default.

#include "broker/control/cluster_codec.hpp"

#include <gtest/gtest.h>

namespace berth::control {
namespace {

using namespace cluster_sim;

const Settings kSettings{.account = "123456789012"};
TimePoint at(int second) { return TimePoint(std::chrono::seconds(1'700'000'000 + second)) + std::chrono::microseconds(7); }

// What came back, encoded again, is the text that was stored; and it can be compared with the record.
template <class Record>
Cluster round_trip(const Record& record, const std::string& kind, const std::string& key) {
  Cluster first{kSettings}, second{kSettings};
  first.restore(record);
  const auto text = encode(first, {kind, key});
  EXPECT_TRUE(text) << kind;
  EXPECT_TRUE(restore(second, kind, key, text.value_or("")));
  EXPECT_EQ(encode(second, {kind, key}), text);
  return second;
}

TEST(ClusterCodec, Network) {
  const Cidr block = *parse_cidr("10.0.0.0/16");
  Vpc vpc{VpcId("vpc-1"), block, true, false, true, {{"k", "v"}}};
  const Cluster vpcs = round_trip(vpc, "vpc", "vpc-1");
  const Vpc& v = vpcs.vpcs().at(VpcId("vpc-1"));
  EXPECT_EQ(std::tie(v.id, v.block, v.is_default, v.dns_support, v.dns_hostnames, v.tags),
            std::tie(vpc.id, vpc.block, vpc.is_default, vpc.dns_support, vpc.dns_hostnames, vpc.tags));

  Subnet subnet{SubnetId("subnet-1"), VpcId("vpc-1"), "us-east-1b", "use1-az2", block, true, {{"a", "b"}}, {}};
  const Cluster subnets = round_trip(subnet, "subnet", "subnet-1");
  const Subnet& s = subnets.subnets().at(SubnetId("subnet-1"));
  EXPECT_EQ(std::tie(s.id, s.vpc, s.zone, s.zone_id, s.block, s.map_public_ip, s.tags),
            std::tie(subnet.id, subnet.vpc, subnet.zone, subnet.zone_id, subnet.block, subnet.map_public_ip, subnet.tags));

  SecurityGroup group{SecurityGroupId("sg-1"), VpcId("vpc-1"), "name", "text", {{"a", "b"}}, {}};
  group.rules.push_back({true, "tcp", 80, 90, {"10.0.0.0/8"}, {SecurityGroupId("sg-2")}});
  const Cluster groups = round_trip(group, "security-group", "sg-1");
  const SecurityGroup& g = groups.security_groups().at(SecurityGroupId("sg-1"));
  EXPECT_EQ(std::tie(g.id, g.vpc, g.name, g.description, g.tags),
            std::tie(group.id, group.vpc, group.name, group.description, group.tags));
  const auto &r = g.rules.at(0), &rule = group.rules.at(0);
  EXPECT_EQ(std::tie(r.egress, r.protocol, r.from_port, r.to_port, r.cidrs, r.groups),
            std::tie(rule.egress, rule.protocol, rule.from_port, rule.to_port, rule.cidrs, rule.groups));

  Interface interface{
      InterfaceId("eni-1"), SubnetId("subnet-1"), 0xfffffffe, "02:00", "text", {SecurityGroupId("sg-1")}, "task/x", "att",
      {{"a", "b"}}};
  const Cluster interfaces = round_trip(interface, "interface", "eni-1");
  const Interface& i = interfaces.interfaces().at(InterfaceId("eni-1"));
  EXPECT_EQ(std::tie(i.id, i.subnet, i.address, i.mac, i.description, i.security_groups, i.owner, i.attachment_id, i.tags),
            std::tie(interface.id, interface.subnet, interface.address, interface.mac, interface.description,
                     interface.security_groups, interface.owner, interface.attachment_id, interface.tags));
}

TEST(ClusterCodec, Capacity) {
  LaunchTemplate found{LaunchTemplateId("lt-1"), "ecs", at(1), {}, 2, {{"a", "b"}}};
  found.versions[2] = {"ami-1", "m5.large", "#!/bin/sh\n", "profile", "key", true, {SecurityGroupId("sg-1")}, "{\"x\":1}"};
  const Cluster templates = round_trip(found, "launch-template", "lt-1");
  const LaunchTemplate& t = templates.launch_templates().at(LaunchTemplateId("lt-1"));
  EXPECT_EQ(std::tie(t.id, t.name, t.created, t.default_version, t.tags),
            std::tie(found.id, found.name, found.created, found.default_version, found.tags));
  const auto &d = t.versions.at(2), &data = found.versions.at(2);
  EXPECT_EQ(
      std::tie(d.image_id, d.instance_type, d.user_data, d.instance_profile, d.key_name, d.spot, d.security_groups, d.document),
      std::tie(data.image_id, data.instance_type, data.user_data, data.instance_profile, data.key_name, data.spot,
               data.security_groups, data.document));

  AutoScalingGroup group{GroupName("g"),
                         "arn",
                         LaunchTemplateId("lt-1"),
                         "$Latest",
                         {"m5.large"},
                         1,
                         50,
                         2,
                         {SubnetId("subnet-1")},
                         1,
                         9,
                         4,
                         at(2),
                         true,
                         {{"a", "b"}},
                         {"a"},
                         "{}",
                         {{"id", "text", "cause", "Failed", at(3), at(4)}}};
  const Cluster groups = round_trip(group, "auto-scaling-group", "g");
  const AutoScalingGroup& g = groups.groups().at(GroupName("g"));
  EXPECT_EQ(std::tie(g.name, g.arn, g.launch_template, g.launch_template_version, g.instance_types, g.on_demand_base,
                     g.on_demand_percentage, g.spot_pools, g.subnets),
            std::tie(group.name, group.arn, group.launch_template, group.launch_template_version, group.instance_types,
                     group.on_demand_base, group.on_demand_percentage, group.spot_pools, group.subnets));
  EXPECT_EQ(
      std::tie(g.min_size, g.max_size, g.desired, g.created, g.protect_new_instances, g.tags, g.propagated_tags, g.document),
      std::tie(group.min_size, group.max_size, group.desired, group.created, group.protect_new_instances, group.tags,
               group.propagated_tags, group.document));
  const auto &a = g.activities.at(0), &activity = group.activities.at(0);
  EXPECT_EQ(std::tie(a.id, a.description, a.cause, a.status, a.started, a.ended),
            std::tie(activity.id, activity.description, activity.cause, activity.status, activity.started, activity.ended));

  Instance instance{InstanceId("i-1"),
                    "m5.large",
                    "ami-1",
                    SubnetId("subnet-1"),
                    "us-east-1a",
                    InterfaceId("eni-1"),
                    "running",
                    "profile",
                    "data",
                    GroupName("g"),
                    true,
                    true,
                    at(5),
                    at(6),
                    "console\n",
                    "reason",
                    "token",
                    {{"a", "b"}}};
  const Cluster instances = round_trip(instance, "instance", "i-1");
  const Instance& i = instances.instances().at(InstanceId("i-1"));
  EXPECT_EQ(std::tie(i.id, i.type, i.image_id, i.subnet, i.zone, i.interface, i.state, i.instance_profile, i.user_data, i.group),
            std::tie(instance.id, instance.type, instance.image_id, instance.subnet, instance.zone, instance.interface,
                     instance.state, instance.instance_profile, instance.user_data, instance.group));
  EXPECT_EQ(
      std::tie(i.spot, i.protected_from_scale_in, i.launched, i.terminated, i.console, i.state_reason, i.client_token, i.tags),
      std::tie(instance.spot, instance.protected_from_scale_in, instance.launched, instance.terminated, instance.console,
               instance.state_reason, instance.client_token, instance.tags));
}

TEST(ClusterCodec, Ecs) {
  EcsCluster cluster{ClusterName("c"), "arn", "INACTIVE", {"FARGATE"}, "{}", {{"a", "b"}}};
  const Cluster clusters = round_trip(cluster, "ecs-cluster", "c");
  const EcsCluster& c = clusters.clusters().at(ClusterName("c"));
  EXPECT_EQ(std::tie(c.name, c.arn, c.status, c.capacity_providers, c.document, c.tags),
            std::tie(cluster.name, cluster.arn, cluster.status, cluster.capacity_providers, cluster.document, cluster.tags));

  ContainerInstance instance{ContainerInstanceId("ci"),
                             ClusterName("c"),
                             "arn",
                             InstanceId("i-1"),
                             "us-east-1a",
                             SubnetId("subnet-1"),
                             "DRAINING",
                             false,
                             at(1),
                             3,
                             2048,
                             7985,
                             {22},
                             {53},
                             {{"x", ""}},
                             "{}",
                             "1.105.1",
                             "reason",
                             at(2),
                             {{"a", "b"}}};
  const Cluster instances = round_trip(instance, "container-instance", "ci");
  const ContainerInstance& i = instances.container_instances().at(ContainerInstanceId("ci"));
  EXPECT_EQ(
      std::tie(i.id, i.cluster, i.arn, i.ec2_instance, i.zone, i.subnet, i.status, i.agent_connected, i.registered, i.version),
      std::tie(instance.id, instance.cluster, instance.arn, instance.ec2_instance, instance.zone, instance.subnet,
               instance.status, instance.agent_connected, instance.registered, instance.version));
  EXPECT_EQ(
      std::tie(i.cpu, i.memory_mib, i.ports, i.udp_ports, i.attributes, i.version_info, i.agent_version, i.status_reason,
               i.deregistered, i.tags),
      std::tie(instance.cpu, instance.memory_mib, instance.ports, instance.udp_ports, instance.attributes, instance.version_info,
               instance.agent_version, instance.status_reason, instance.deregistered, instance.tags));
}

Task full_task() {
  Task task;
  task.id = TaskId("t");
  task.arn = "arn";
  task.cluster = ClusterName("c");
  task.task_definition_arn = "definition";
  task.requirements = {
      "definition",   true,         256, 512, {{80, true}}, {"attribute"}, {{PlacementConstraint::Kind::distinct_instance, "x"}},
      {"app", "log"}, {true, false}};
  task.launch_type = LaunchType::fargate;
  task.capacity_provider = "FARGATE_SPOT";
  task.container_instance = ContainerInstanceId("ci");
  task.zone = "us-east-1b";
  task.interface = InterfaceId("eni-1");
  task.attachment_id = "att";
  task.subnet = SubnetId("subnet-1");
  task.address = "10.0.0.4";
  task.mac = "02:00";
  task.last = TaskStatus::stopping;
  task.stop_wanted = true;
  task.containers = {{"app", false, "STOPPED", "rid", 0, "reason", "HEALTHY"}};
  task.group = "group";
  task.started_by = "me";
  task.stop_code = "UserInitiated";
  task.stopped_reason = "because";
  task.health = "HEALTHY";
  task.version = 9;
  task.created = at(1);
  task.connectivity_at = at(2);
  task.pull_started = at(3);
  task.pull_stopped = at(4);
  task.started = at(5);
  task.stopping = at(6);
  task.execution_stopped = at(7);
  task.stopped = at(8);
  task.connectivity = "CONNECTED";
  task.tags = {{"a", "b"}};
  task.document = "{}";
  return task;
}

TEST(ClusterCodec, Task) {
  const Task task = full_task();
  const Cluster tasks = round_trip(task, "task", "t");
  const Task& t = tasks.tasks().at(TaskId("t"));
  EXPECT_EQ(std::tie(t.id, t.arn, t.cluster, t.task_definition_arn, t.launch_type, t.capacity_provider, t.container_instance,
                     t.zone, t.interface, t.attachment_id),
            std::tie(task.id, task.arn, task.cluster, task.task_definition_arn, task.launch_type, task.capacity_provider,
                     task.container_instance, task.zone, task.interface, task.attachment_id));
  EXPECT_EQ(std::tie(t.subnet, t.address, t.mac, t.last, t.stop_wanted, t.group, t.started_by, t.stop_code, t.stopped_reason,
                     t.health, t.version),
            std::tie(task.subnet, task.address, task.mac, task.last, task.stop_wanted, task.group, task.started_by,
                     task.stop_code, task.stopped_reason, task.health, task.version));
  EXPECT_EQ(std::tie(t.created, t.connectivity_at, t.pull_started, t.pull_stopped, t.started, t.stopping, t.execution_stopped,
                     t.stopped, t.connectivity, t.tags, t.document),
            std::tie(task.created, task.connectivity_at, task.pull_started, task.pull_stopped, task.started, task.stopping,
                     task.execution_stopped, task.stopped, task.connectivity, task.tags, task.document));
  const auto &n = t.requirements, &needs = task.requirements;
  EXPECT_EQ(std::tie(n.task_definition_arn, n.awsvpc, n.cpu, n.memory_mib, n.attributes, n.containers, n.essential),
            std::tie(needs.task_definition_arn, needs.awsvpc, needs.cpu, needs.memory_mib, needs.attributes, needs.containers,
                     needs.essential));
  EXPECT_EQ(std::tie(n.ports.at(0).port, n.ports.at(0).udp, n.constraints.at(0).kind, n.constraints.at(0).expression),
            std::tie(needs.ports[0].port, needs.ports[0].udp, needs.constraints[0].kind, needs.constraints[0].expression));
  const auto &c = t.containers.at(0), &container = task.containers.at(0);
  EXPECT_EQ(std::tie(c.name, c.essential, c.last_status, c.runtime_id, c.exit_code, c.reason, c.health),
            std::tie(container.name, container.essential, container.last_status, container.runtime_id, container.exit_code,
                     container.reason, container.health));
}

TEST(ClusterCodec, WhatIsGoneHasNoText) {
  const Cluster empty{kSettings};
  EXPECT_EQ(encode(empty, {"task", "none"}), std::nullopt);
  EXPECT_EQ(encode(empty, {"nonsense", "none"}), std::nullopt);
}

TEST(ClusterCodec, BrokenTextIsAnErrorAndNotACrash) {
  Cluster cluster{kSettings};
  EXPECT_FALSE(restore(cluster, "task", "t", "{"));
  EXPECT_FALSE(restore(cluster, "task", "t", R"({"id": 5})"));
  EXPECT_FALSE(restore(cluster, "nonsense", "t", "{}"));
  EXPECT_TRUE(cluster.tasks().empty());
}

TEST(ClusterCodec, BytesThatAreNoTextAreReplacedAndNotRefused) {
  Instance instance;
  instance.id = InstanceId("i-1");
  instance.console = "\xff\xfe";
  Cluster cluster{kSettings};
  cluster.restore(instance);
  EXPECT_TRUE(encode(cluster, {"instance", "i-1"}));
}

}  // namespace
}  // namespace berth::control

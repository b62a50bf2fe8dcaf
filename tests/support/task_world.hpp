// A control plane with a VPC, a cluster, roles, a shared file system and tasks on Fargate: what launching a task looks at.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "credentials/policy/policy.hpp"
#include "tests/support/control_world.hpp"

namespace berth::testing {

class TaskWorld : public ControlWorld {
 public:
  using Json = nlohmann::json;

  TaskWorld() : network(make_network()) {
    decide([&](control::Control& c) {
      if (!c.cluster.create_cluster("demo", "{}", {})) throw std::runtime_error("no cluster");
      c.catalog.put(a_file_system("fs-1"));
      c.catalog.put(a_mount_target("fsmt-1", "fs-1", "us-east-1a"));
      c.catalog.put(an_access_point("fsap-1", "fs-1", "/service"));
    });
  }

  static std::string file_system_arn(const std::string& id = "fs-1") {
    return "arn:aws:elasticfilesystem:us-east-1:123456789012:file-system/" + id;
  }
  static std::string access_point_arn(const std::string& id = "fsap-1") {
    return "arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/" + id;
  }
  static std::string role_arn(const std::string& name) { return "arn:aws:iam::123456789012:role/" + name; }

  static fuse::FileSystemRecord a_file_system(const std::string& id) {
    fuse::FileSystemRecord record;
    record.id = fuse::FileSystemId(id);
    record.arn = file_system_arn(id);
    record.owner = kAccount;
    record.creation_token = id;
    record.life_cycle = fuse::LifeCycle::available;
    return record;
  }
  fuse::MountTargetRecord a_mount_target(const std::string& id, const std::string& file_system, const std::string& zone) const {
    return {.id = fuse::MountTargetId(id),
            .file_system = fuse::FileSystemId(file_system),
            .owner = kAccount,
            .life_cycle = fuse::LifeCycle::available,
            .vpc = network.vpc.str(),
            .zone = zone};
  }
  static fuse::AccessPointRecord an_access_point(const std::string& id, const std::string& file_system, const std::string& root) {
    fuse::AccessPointRecord record;
    record.id = fuse::AccessPointId(id);
    record.arn = access_point_arn(id);
    record.file_system = fuse::FileSystemId(file_system);
    record.life_cycle = fuse::LifeCycle::available;
    record.root = root;
    record.identity = fuse::PosixUser{1000, 1000, {}};
    record.creation = fuse::CreationInfo{1000, 1000, 0750};
    return record;
  }

  void put_file_system_policy(const std::string& policy) {
    decide([&](control::Control& c) { c.catalog.edit(fuse::FileSystemId("fs-1"))->policy = policy; });
  }

  static credentials::Role a_role(const std::string& name, const std::vector<std::string>& actions, const std::string& trusted) {
    using credentials::Policy;
    const auto trust = R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":")" + trusted +
                       R"("},"Action":"sts:AssumeRole"}]})";
    credentials::Role role;
    role.name = name;
    role.id = "AROA" + std::string(17 - name.size(), 'A') + name;
    role.trust_policy = Policy::parse(trust, credentials::PolicyKind::trust).value();
    if (!actions.empty()) {
      const Json policy{{"Version", "2012-10-17"},
                        {"Statement", {{{"Effect", "Allow"}, {"Action", actions}, {"Resource", "*"}}}}};
      role.inline_policies["share"] = Policy::parse(policy.dump(), credentials::PolicyKind::identity).value();
    }
    return role;
  }
  // A role for tasks that may do `actions`.
  void make_role(const std::string& name, const std::vector<std::string>& actions,
                 const std::string& trusted = "ecs-tasks.amazonaws.com") {
    decide([&](control::Control& c) {
      if (auto made = c.edit_identities().create(a_role(name, actions, trusted)); !made)
        throw std::runtime_error(made.error().message);
    });
  }

  // The demo's definition: one container, the share through the access point as the task role.
  static Json a_definition() {
    return Json::parse(R"({
      "family": "web", "revision": 1, "networkMode": "awsvpc", "cpu": "256", "memory": "512",
      "containerDefinitions": [{"name": "app", "image": "host", "command": ["sh"],
                                "mountPoints": [{"sourceVolume": "data", "containerPath": "/data"}]}],
      "volumes": [{"name": "data", "efsVolumeConfiguration": {"fileSystemId": "fs-1", "transitEncryption": "ENABLED",
                   "authorizationConfig": {"accessPointId": "fsap-1", "iam": "ENABLED"}}}]})");
  }
  void define(const Json& definition) {
    decide([&](control::Control& c) { c.documents.put("task-definition", "web:1", definition.dump()); });
  }

  static Json a_document(const std::string& role) {
    Json document{{"overrides", Json::object()},
                  {"cpu", "256"},
                  {"memory", "512"},
                  {"enableExecuteCommand", false},
                  {"containerIds", {{"app", "0-1-2"}}}};
    if (!role.empty()) document["taskRoleArn"] = role_arn(role);
    return document;
  }
  // A task on Fargate in the subnet's zone.
  cluster_sim::TaskId run(const Json& document, const cluster_sim::SubnetId& subnet) {
    cluster_sim::TaskId task;
    decide([&](control::Control& c) {
      cluster_sim::RunTask wanted;
      wanted.cluster = cluster_sim::ClusterName("demo");
      wanted.requirements.task_definition_arn = "arn:aws:ecs:us-east-1:123456789012:task-definition/web:1";
      wanted.requirements.awsvpc = true;
      wanted.requirements.cpu = 256;
      wanted.requirements.memory_mib = 512;
      wanted.requirements.containers = {"app"};
      wanted.requirements.essential = {true};
      wanted.launch_type = cluster_sim::LaunchType::fargate;
      wanted.subnets = {subnet};
      wanted.group = "family:web";
      wanted.document = document.dump();
      const auto placed = c.cluster.run_task(c.now, c.random, wanted);
      if (!placed) throw std::runtime_error(placed.error().message);
      if (placed->tasks.empty()) throw std::runtime_error("not placed: " + placed->failures.at(0).reason);
      task = placed->tasks.front();
    });
    return task;
  }
  cluster_sim::TaskId run(const std::string& role) { return run(a_document(role), network.subnet_a); }

  // As if the runtime had reported it.
  void report(const cluster_sim::TaskId& task, const cluster_sim::TaskEvent& event) {
    decide([&](control::Control& c) { c.cluster.task_event(c.now, task, event); });
  }

  const Network network;
};

// What the demo puts: nothing is allowed to everyone, so that each role needs its own allow.
inline constexpr const char* kEncryptedOnly =
    R"({"Version":"2012-10-17","Statement":[{"Sid":"OnlyEncrypted","Effect":"Deny","Principal":{"AWS":"*"},"Action":"*",)"
    R"("Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}]})";

}  // namespace berth::testing

#include "broker/services/ecs/task_json.hpp"

#include <nlohmann/json.hpp>

#include "broker/control/control_plane.hpp"
#include "broker/services/ecs/definition.hpp"
#include "broker/services/ecs/definition_store.hpp"
#include "broker/services/ecs/overrides.hpp"
#include "broker/services/ecs/tag_list.hpp"

namespace berth::services::ecs {

using api::Json;
using cluster_sim::ContainerState;
using cluster_sim::LaunchType;
using cluster_sim::Task;
using cluster_sim::TaskStatus;

namespace {

constexpr int kFargateStorageGib = 20;

// The states of a network interface's attachment on its way.
const char* attachment_status(TaskStatus task) {
  switch (task) {
    case TaskStatus::provisioning: return "PRECREATED";
    case TaskStatus::deprovisioning: return "DETACHING";
    case TaskStatus::stopped: return "DELETED";
    default: return "ATTACHED";
  }
}

std::string private_name(const Home& home, std::string address) {
  for (auto& c : address) c = c == '.' ? '-' : c;
  // The first region's names are shorter than the others'.
  return "ip-" + address + (home.region == "us-east-1" ? ".ec2.internal" : "." + home.region + ".compute.internal");
}

Json attachments(const Home& home, const Task& task) {
  if (task.attachment_id.empty()) return Json::array();
  auto details = Json::array({{{"name", "subnetId"}, {"value", task.subnet.str()}}});
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) details.push_back({{"name", name}, {"value", value}});
  };
  add("networkInterfaceId", task.interface ? task.interface->str() : "");
  add("macAddress", task.mac);
  add("privateDnsName", task.address.empty() ? "" : private_name(home, task.address));
  add("privateIPv4Address", task.address);
  return Json::array({{{"id", task.attachment_id},
                       {"type", "ElasticNetworkInterface"},
                       {"status", attachment_status(task.last)},
                       {"details", std::move(details)}}});
}

Json container(const Home& home, const Task& task, const ContainerState& state, const Json& definition, const Json& ids) {
  Json json{{"name", state.name},
            {"taskArn", task.arn},
            {"lastStatus", state.last_status},
            {"healthStatus", state.health},
            {"networkInterfaces", Json::array()}};
  json["containerArn"] =
      home.arn("container/" + task.cluster.str() + "/" + task.id.str() + "/" + ids.value(state.name, state.name));
  if (!task.address.empty() && task.last != TaskStatus::provisioning)
    json["networkInterfaces"].push_back({{"attachmentId", task.attachment_id}, {"privateIpv4Address", task.address}});
  if (!state.runtime_id.empty()) json["runtimeId"] = state.runtime_id;
  if (state.exit_code) json["exitCode"] = *state.exit_code;
  if (!state.reason.empty()) json["reason"] = state.reason;
  const auto* defined = find_container(definition, state.name);
  if (defined == nullptr) return json;
  json["image"] = text_of(*defined, "image");
  json["cpu"] = std::to_string(defined->value("cpu", 0));
  for (const auto* member : {"memory", "memoryReservation"})
    if (defined->contains(member)) json[member] = std::to_string((*defined)[member].get<int>());
  if (!task.requirements.awsvpc) json["networkBindings"] = Json::array();
  return json;
}

// Every container is named, also those that nothing was changed of.
Json shown_overrides(const Task& task, const Json& document) {
  auto overrides = document.value("overrides", Json::object());
  auto& containers = overrides["containerOverrides"];
  if (!containers.is_array()) containers = Json::array();
  for (const auto& state : task.containers) {
    bool named = false;
    for (const auto& given : containers) named = named || text_of(given, "name") == state.name;
    if (!named) containers.push_back({{"name", state.name}});
  }
  if (!overrides.contains("inferenceAcceleratorOverrides")) overrides["inferenceAcceleratorOverrides"] = Json::array();
  return overrides;
}

void add_times(Json& json, const Task& task) {
  const auto add = [&](const char* name, const std::optional<TimePoint>& time) {
    if (time) json[name] = to_epoch_seconds(*time);
  };
  json["createdAt"] = to_epoch_seconds(task.created);
  add("connectivityAt", task.connectivity_at);
  add("pullStartedAt", task.pull_started);
  add("pullStoppedAt", task.pull_stopped);
  add("startedAt", task.started);
  add("stoppingAt", task.stopping);
  add("executionStoppedAt", task.execution_stopped);
  add("stoppedAt", task.stopped);
}

void add_capacity(Json& json, const Home& home, const Task& task, const Json& document, const Json& definition) {
  json["attributes"] = Json::array();
  if (!task.capacity_provider.empty()) json["capacityProviderName"] = task.capacity_provider;
  json["launchType"] = task.launch_type == LaunchType::fargate ? "FARGATE" : "EC2";
  if (task.container_instance)
    json["containerInstanceArn"] = home.container_instance_arn(task.cluster.str(), task.container_instance->str());
  if (task.launch_type != LaunchType::fargate) return;
  json["attributes"].push_back(
      {{"name", "ecs.cpu-architecture"},
       {"value", definition.value("runtimePlatform", Json::object()).value("cpuArchitecture", "x86_64")}});
  json["platformVersion"] = document.value("platformVersion", "1.4.0");
  json["platformFamily"] = document.value("platformFamily", "Linux");
  const auto storage = definition.value("ephemeralStorage", Json{{"sizeInGiB", kFargateStorageGib}});
  json["ephemeralStorage"] = storage;
  json["fargateEphemeralStorage"] = {{"sizeInGiB", storage.value("sizeInGiB", kFargateStorageGib)}};
}

Json describe(const Home& home, const Task& task, const Json& registered, bool with_tags) {
  const auto document = task.document.empty() ? Json::object() : Json::parse(task.document);
  // The overrides were right when the task was made.
  const auto overridden = apply_overrides(home, registered, document.value("overrides", Json::object()));
  const auto& definition = overridden ? *overridden : registered;
  Json json{{"taskArn", task.arn},
            {"clusterArn", home.cluster_arn(task.cluster.str())},
            {"taskDefinitionArn", task.task_definition_arn},
            {"lastStatus", cluster_sim::to_string(task.last)},
            {"desiredStatus", task.stop_wanted ? "STOPPED" : "RUNNING"},
            {"healthStatus", task.health},
            {"group", task.group},
            {"version", task.version},
            {"availabilityZone", task.zone},
            {"enableExecuteCommand", document.value("enableExecuteCommand", false)},
            {"attachments", attachments(home, task)},
            {"containers", Json::array()},
            {"overrides", shown_overrides(task, document)},
            {"inferenceAccelerators", Json::array()},
            {"cpu", document.value("cpu", std::to_string(task.requirements.cpu))},
            {"memory", document.value("memory", std::to_string(task.requirements.memory_mib))},
            {"tags", with_tags ? write_tags(task.tags) : Json::array()}};
  const auto ids = document.value("containerIds", Json::object());
  for (const auto& state : task.containers) json["containers"].push_back(container(home, task, state, definition, ids));
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) json[name] = value;
  };
  add("startedBy", task.started_by);
  add("stopCode", task.stop_code);
  add("stoppedReason", task.stopped_reason);
  add("connectivity", task.connectivity);
  add_times(json, task);
  add_capacity(json, home, task, document, definition);
  return json;
}

}  // namespace

void TaskSnapshot::add(const control::Control& c, const Task& task) {
  tasks.push_back(task);
  const auto& arn = task.task_definition_arn;
  if (definitions.contains(arn)) return;
  const auto name = read_task_definition({c.cluster.settings().region, c.cluster.settings().account}, arn);
  if (!name) return;
  if (auto found = find_definition(c.documents, *name)) definitions.emplace(arn, std::move(found->text));
}

Json describe_tasks(const Home& home, const TaskSnapshot& snapshot, bool with_tags) {
  std::map<std::string, Json> definitions;
  for (const auto& [arn, text] : snapshot.definitions) definitions.emplace(arn, Json::parse(text));
  auto list = Json::array();
  for (const auto& task : snapshot.tasks) {
    const auto definition = definitions.find(task.task_definition_arn);
    list.push_back(describe(home, task, definition == definitions.end() ? Json::object() : definition->second, with_tags));
  }
  return list;
}

Json describe_failures(const std::vector<cluster_sim::Failure>& failures) {
  auto list = Json::array();
  for (const auto& failure : failures) {
    Json json{{"reason", failure.reason}};
    if (!failure.arn.empty()) json["arn"] = failure.arn;
    if (!failure.detail.empty()) json["detail"] = failure.detail;
    list.push_back(std::move(json));
  }
  return list;
}

}  // namespace berth::services::ecs

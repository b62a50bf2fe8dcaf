#include "broker/services/task_metadata/task_json.hpp"

#include <fmt/format.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include "broker/base/arn.hpp"

namespace berth::services::task_metadata {

namespace {

using Json = nlohmann::ordered_json;
using cluster_sim::ContainerState;
using cluster_sim::TaskStatus;

// RFC 3339 with the fraction, as the agent writes times.
std::string time_text(TimePoint time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  auto text = to_iso8601(seconds);
  text.pop_back();
  return fmt::format("{}.{:06d}Z", text, (time - seconds).count());
}

void put_time(Json& json, const char* name, const std::optional<TimePoint>& time) {
  if (time) json[name] = time_text(*time);
}

// The agent knows fewer states than the service: everything before RUNNING is how far it has come on the instance.
std::string known_status(const ContainerState& container) {
  if (container.last_status != "PENDING") return container.last_status;
  return container.runtime_id.empty() ? "NONE" : "CREATED";
}

std::string known_status(const cluster_sim::Task& task) {
  if (task.last >= TaskStatus::deprovisioning) return "STOPPED";
  if (task.last >= TaskStatus::running) return "RUNNING";
  const bool created =
      std::any_of(task.containers.begin(), task.containers.end(), [](const auto& c) { return !c.runtime_id.empty(); });
  return created ? "CREATED" : "NONE";
}

std::string desired_status(const cluster_sim::Task& task) { return task.stop_wanted ? "STOPPED" : "RUNNING"; }

struct DefinitionName {
  std::string family, revision;
};

DefinitionName definition_name(const cluster_sim::Task& task) {
  const auto name = task.task_definition_arn.substr(task.task_definition_arn.rfind('/') + 1);
  const auto colon = name.rfind(':');
  return {name.substr(0, colon), colon == name.npos ? "" : name.substr(colon + 1)};
}

// EC2's agent says the cluster's name, Fargate's its ARN.
std::string cluster_text(const TaskView& view) {
  if (view.task.launch_type == cluster_sim::LaunchType::ec2) return view.task.cluster.str();
  return fmt::format("arn:aws:ecs:{}:{}:cluster/{}", view.region, view.account, view.task.cluster.str());
}

Json definition_of(const TaskView& view) {
  auto json = Json::parse(view.definition, nullptr, false);
  return json.is_object() ? json : Json::object();
}

Json named(const Json& items, const std::string& name) {
  if (items.is_array())
    for (const auto& item : items)
      if (item.value("name", "") == name) return item;
  return Json::object();
}

Json networks_json(const TaskView& view, int version, const std::string& mode) {
  Json network{{"NetworkMode", mode}};
  if (view.task.address.empty()) return Json::array({network});
  network["IPv4Addresses"] = {view.task.address};
  if (version < 4) return Json::array({network});
  network["AttachmentIndex"] = 0;
  network["MACAddress"] = view.task.mac;
  if (view.subnet) {
    auto dashed = view.task.address;
    std::replace(dashed.begin(), dashed.end(), '.', '-');
    const auto domain = view.region == "us-east-1" ? std::string("ec2") : view.region + ".compute";
    network["IPv4SubnetCIDRBlock"] = view.subnet->block.str();
    network["PrivateDNSName"] = fmt::format("ip-{}.{}.internal", dashed, domain);
    network["SubnetGatewayIpv4Address"] =
        fmt::format("{}/{}", cluster_sim::address_text(view.subnet->gateway()), view.subnet->block.prefix_length);
  }
  return Json::array({network});
}

Json limits_json(const Json& definition, const Json& override_of_it) {
  Json limits = Json::object();
  limits["CPU"] = override_of_it.value("cpu", definition.value("cpu", 0));
  const auto memory = override_of_it.value("memory", definition.value("memory", 0));
  if (memory > 0) limits["Memory"] = memory;
  return limits;
}

Json labels_json(const TaskView& view, const std::string& container, const Json& definition) {
  const auto [family, revision] = definition_name(view.task);
  Json labels{{"com.amazonaws.ecs.cluster", cluster_text(view)},
              {"com.amazonaws.ecs.container-name", container},
              {"com.amazonaws.ecs.task-arn", view.task.arn},
              {"com.amazonaws.ecs.task-definition-family", family},
              {"com.amazonaws.ecs.task-definition-version", revision}};
  if (const auto own = definition.find("dockerLabels"); own != definition.end() && own->is_object()) labels.update(*own);
  return labels;
}

Json ports_json(const Json& definition) {
  auto ports = Json::array();
  for (const auto& mapping : definition.value("portMappings", Json::array()))
    if (mapping.contains("containerPort"))
      ports.push_back({{"ContainerPort", mapping["containerPort"]}, {"Protocol", mapping.value("protocol", "tcp")}});
  return ports;
}

const ContainerState* state_of(const cluster_sim::Task& task, const std::string& name) {
  const auto found = std::find_if(task.containers.begin(), task.containers.end(), [&](const auto& c) { return c.name == name; });
  return found == task.containers.end() ? nullptr : &*found;
}

std::string endpoint_id(const TaskView& view, const std::string& container) {
  const auto found = view.endpoint.containers.find(container);
  return found == view.endpoint.containers.end() ? std::string() : found->second;
}

// As DescribeTasks says it, see broker/services/ecs/documents.hpp.
std::string container_id(const Json& document, const std::string& container) {
  return document.is_object() ? document.value("containerIds", Json::object()).value(container, container) : container;
}

void put_state(Json& json, const TaskView& view, const ContainerState& state, const Json& definition,
               const Json& override_of_it) {
  json["DesiredStatus"] = desired_status(view.task);
  json["KnownStatus"] = known_status(state);
  if (state.exit_code) json["ExitCode"] = *state.exit_code;
  json["Limits"] = limits_json(definition, override_of_it);
  json["CreatedAt"] = time_text(view.task.pull_stopped.value_or(view.task.created));
  put_time(json, "StartedAt", view.task.started);
  if (state.last_status == "STOPPED") put_time(json, "FinishedAt", view.task.execution_stopped);
  json["Type"] = "NORMAL";
  if (definition.contains("healthCheck")) json["Health"] = {{"status", state.health}};
}

}  // namespace

std::optional<TaskView> view_of(const control::Control& c, const cluster_sim::TaskId& id) {
  const auto task = c.cluster.tasks().find(id);
  const auto endpoint = control::find_task_endpoint(c.documents, id.str());
  if (task == c.cluster.tasks().end() || !endpoint) return std::nullopt;
  TaskView view{.task = task->second, .endpoint = *endpoint};
  const auto& arn = view.task.task_definition_arn;
  if (const auto* definition = c.documents.find("task-definition", arn.substr(arn.rfind('/') + 1))) view.definition = *definition;
  if (const auto subnet = c.cluster.subnets().find(view.task.subnet); subnet != c.cluster.subnets().end())
    view.subnet = subnet->second;
  if (view.task.container_instance) {
    const auto instance = c.cluster.container_instances().find(*view.task.container_instance);
    if (instance != c.cluster.container_instances().end()) view.instance_tags = instance->second.tags;
  }
  view.region = c.cluster.settings().region;
  view.account = c.cluster.settings().account;
  return view;
}

Json container_json(const TaskView& view, const std::string& container, int version) {
  const auto task_definition = definition_of(view);
  const auto definition = named(task_definition.value("containerDefinitions", Json::array()), container);
  const auto document = Json::parse(view.task.document, nullptr, false);
  const auto overrides = document.is_object() ? document.value("overrides", Json::object()) : Json::object();
  const auto override_of_it = named(overrides.value("containerOverrides", Json::array()), container);
  const auto* state = state_of(view.task, container);
  const auto id = endpoint_id(view, container);
  const auto [family, revision] = definition_name(view.task);

  // Before the runtime has reported the container's own id, its endpoint's name stands for it.
  Json json{{"DockerId", state != nullptr && !state->runtime_id.empty() ? state->runtime_id : id},
            {"Name", container},
            {"DockerName", fmt::format("ecs-{}-{}-{}-{}", family, revision, container, id.substr(0, 8))},
            {"Image", definition.value("image", "")},
            {"ImageID", ""}};
  if (auto ports = ports_json(definition); !ports.empty()) json["Ports"] = std::move(ports);
  json["Labels"] = labels_json(view, container, definition);
  if (state != nullptr) put_state(json, view, *state, definition, override_of_it);
  if (version >= 4) {
    if (const auto log = definition.find("logConfiguration"); log != definition.end())
      json["LogDriver"] = log->value("logDriver", "");
    json["ContainerARN"] = fmt::format("arn:aws:ecs:{}:{}:container/{}/{}/{}", view.region, view.account, view.task.cluster.str(),
                                       view.task.id.str(), container_id(document, container));
  }
  json["Networks"] = networks_json(view, version, task_definition.value("networkMode", "bridge"));
  return json;
}

Json task_json(const TaskView& view, int version, bool with_tags) {
  const auto [family, revision] = definition_name(view.task);
  const auto definition = definition_of(view);
  Json json{{"Cluster", cluster_text(view)},
            {"TaskARN", view.task.arn},
            {"Family", family},
            {"Revision", revision},
            {"DesiredStatus", desired_status(view.task)},
            {"KnownStatus", known_status(view.task)}};
  const auto& needs = view.task.requirements;
  if (needs.cpu > 0 || needs.memory_mib > 0) {
    Json limits = Json::object();
    if (needs.cpu > 0) limits["CPU"] = needs.cpu / 1024.0;
    if (needs.memory_mib > 0) limits["Memory"] = needs.memory_mib;
    json["Limits"] = std::move(limits);
  }
  put_time(json, "PullStartedAt", view.task.pull_started);
  put_time(json, "PullStoppedAt", view.task.pull_stopped);
  put_time(json, "ExecutionStoppedAt", view.task.execution_stopped);
  json["AvailabilityZone"] = view.task.zone;
  if (version >= 4) {
    json["LaunchType"] = view.task.launch_type == cluster_sim::LaunchType::fargate ? "FARGATE" : "EC2";
    if (view.subnet) json["VPCID"] = view.subnet->vpc.str();
    if (view.task.group.starts_with("service:")) json["ServiceName"] = view.task.group.substr(8);
  }
  auto containers = Json::array();
  for (const auto& container : view.task.containers) containers.push_back(container_json(view, container.name, version));
  json["Containers"] = std::move(containers);
  if (version >= 4) json["FaultInjectionEnabled"] = definition.value("enableFaultInjection", false);
  if (with_tags) {
    if (!view.task.tags.empty()) json["TaskTags"] = view.task.tags;
    if (!view.instance_tags.empty()) json["ContainerInstanceTags"] = view.instance_tags;
  }
  return json;
}

}  // namespace berth::services::task_metadata

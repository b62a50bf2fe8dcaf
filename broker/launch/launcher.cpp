#include "broker/launch/launcher.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include <nlohmann/json.hpp>

#include "broker/control/task_endpoint.hpp"
#include "broker/launch/containers.hpp"
#include "broker/launch/environment.hpp"
#include "broker/launch/nfs_reach.hpp"
#include "credentials/sts/assume_role.hpp"

namespace berth::launch {
namespace {

using control::Control;

// The kind under which the ECS service keeps task definitions, see broker/services/ecs/documents.hpp.
constexpr std::string_view kTaskDefinitionKind = "task-definition";

// All that is read of the control state for one task, copied out so that nothing is parsed or decided under the lock.
struct Snapshot {
  cluster_sim::Task task;
  std::string definition;
  std::shared_ptr<const credentials::Identities> identities;
  std::optional<runtime::NetworkInterface> interface;
  std::string vpc;
  TimePoint now{};
};

// `family:revision` of arn:aws:ecs:REGION:ACCOUNT:task-definition/family:revision.
std::string definition_key(const std::string& arn) { return arn.substr(arn.rfind('/') + 1); }

// Where the task's own traffic comes from: its interface's subnet, or that of its instance.
cluster_sim::SubnetId subnet_of(const Control& c, const cluster_sim::Task& task) {
  if (task.interface)
    if (const auto found = c.cluster.interfaces().find(*task.interface); found != c.cluster.interfaces().end())
      return found->second.subnet;
  if (task.container_instance)
    if (const auto found = c.cluster.container_instances().find(*task.container_instance);
        found != c.cluster.container_instances().end())
      return found->second.subnet;
  return {};
}

void read_network(const Control& c, Snapshot& snapshot) {
  const auto subnet = c.cluster.subnets().find(subnet_of(c, snapshot.task));
  if (subnet == c.cluster.subnets().end()) return;
  snapshot.vpc = subnet->second.vpc.str();
  if (!snapshot.task.interface) return;
  const auto found = c.cluster.interfaces().find(*snapshot.task.interface);
  if (found == c.cluster.interfaces().end()) return;
  snapshot.interface = runtime::NetworkInterface{.id = found->first.str(),
                                                 .mac = found->second.mac,
                                                 .address = cluster_sim::address_text(found->second.address),
                                                 .prefix_length = subnet->second.block.prefix_length,
                                                 .gateway = cluster_sim::address_text(subnet->second.gateway())};
}

Result<Snapshot> take_snapshot(control::ControlPlane& plane, const cluster_sim::TaskId& id) {
  // apply(), not read(): the time of this decision is wanted.
  return plane.apply([&](const Control& c) -> Result<Snapshot> {
    const auto task = c.cluster.tasks().find(id);
    if (task == c.cluster.tasks().end()) return fail(Code::not_found, "there is no task `{}`", id.str());
    const auto* definition = c.documents.find(kTaskDefinitionKind, definition_key(task->second.task_definition_arn));
    if (definition == nullptr) return fail(Code::not_found, "there is no task definition `{}`", task->second.task_definition_arn);
    Snapshot snapshot{.task = task->second, .definition = *definition, .identities = c.identities, .now = c.now};
    read_network(c, snapshot);
    return snapshot;
  });
}

// The interface from which the task mounts: its own, or its instance's.
const cluster_sim::Interface* client_interface(const Control& c, const cluster_sim::Task& task) {
  if (task.interface) {
    const auto found = c.cluster.interfaces().find(*task.interface);
    return found == c.cluster.interfaces().end() ? nullptr : &found->second;
  }
  if (!task.container_instance) return nullptr;
  const auto instance = c.cluster.container_instances().find(*task.container_instance);
  if (instance == c.cluster.container_instances().end()) return nullptr;
  const auto owner = "instance/" + instance->second.ec2_instance.str();
  const auto found =
      std::ranges::find_if(c.cluster.interfaces(), [&](const auto& interface) { return interface.second.owner == owner; });
  return found == c.cluster.interfaces().end() ? nullptr : &found->second;
}

// The volumes whose mount target in the task's zone is closed to it, with the reason.
std::map<std::string, std::string> closed_targets(const Control& c, const cluster_sim::Task& task,
                                                  const std::vector<EfsVolume>& volumes) {
  std::map<std::string, std::string> closed;
  const auto* own = client_interface(c, task);
  for (const auto& volume : volumes) {
    const auto* record = c.catalog.mount_target_in(fuse::FileSystemId(volume.file_system), task.zone);
    if (own == nullptr || record == nullptr) continue;
    const auto target = c.cluster.interfaces().find(cluster_sim::InterfaceId(record->interface));
    if (target == c.cluster.interfaces().end()) continue;
    NfsEnd end{target->second.address, {}};
    for (const auto& group : record->security_groups) end.security_groups.emplace_back(group);
    if (end.security_groups.empty()) end.security_groups = target->second.security_groups;
    if (auto why = why_nfs_is_closed(c.cluster.security_groups(), {own->address, own->security_groups}, end); !why.empty())
      closed[volume.file_system] = std::move(why);
  }
  return closed;
}

// The records of the catalog that the volumes name.
fuse::Catalog excerpt(const fuse::Catalog& catalog, const std::vector<EfsVolume>& volumes) {
  fuse::Catalog few;
  for (const auto& volume : volumes) {
    const fuse::FileSystemId id(volume.file_system);
    if (const auto* file_system = catalog.find(id)) few.restore(*file_system);
    for (const auto* target : catalog.mount_targets_of(id)) few.restore(*target);
    if (const auto* access_point = catalog.find(fuse::AccessPointId(volume.access_point))) few.restore(*access_point);
  }
  return few;
}

struct Volumes {
  std::vector<runtime::Volume> ready;
  std::vector<EfsVolume> efs;
};

Result<Volumes> read_volumes(const Json& definition) {
  Volumes volumes;
  for (const auto& json : definition.value("volumes", Json::array())) {
    auto volume = read_volume(json);
    if (!volume) return fail(volume.error());
    if (auto* efs = std::get_if<EfsVolume>(&*volume))
      volumes.efs.push_back(std::move(*efs));
    else
      volumes.ready.push_back(std::get<runtime::Volume>(std::move(*volume)));
  }
  return volumes;
}

Result<runtime::NetworkMode> read_network_mode(const Json& definition) {
  const auto mode = definition.value("networkMode", "bridge");
  if (mode == "awsvpc") return runtime::NetworkMode::awsvpc;
  if (mode == "bridge") return runtime::NetworkMode::bridge;
  if (mode == "none") return runtime::NetworkMode::none;
  return fail(Code::unimplemented, "ResourceInitializationError: networkMode `{}`: a task of Berth never gets the host's network",
              mode);
}

Result<std::optional<unsigned>> read_size(const Json& document, const char* name) {
  const auto text = document.value(name, std::string());
  if (text.empty()) return std::nullopt;
  unsigned value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9' || value > 100'000'000)
      return fail(Code::invalid_argument, "the task's {} is `{}`, not a number", name, text);
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  return value;
}

// As EC2 names a host in a VPC: us-east-1 has its own form.
std::string host_name(std::string address, const std::string& region) {
  std::replace(address.begin(), address.end(), '.', '-');
  return region == "us-east-1" ? fmt::format("ip-{}.ec2.internal", address)
                               : fmt::format("ip-{}.{}.compute.internal", address, region);
}

// ECS assumes both roles before it starts the task.
Result<> check_role(const Snapshot& snapshot, const std::string& role_arn) {
  if (role_arn.empty()) return {};
  const auto principal = credentials::service_principal("ecs-tasks.amazonaws.com", snapshot.identities->account());
  const credentials::AssumeRoleRequest request{.principal = principal,
                                               .role_arn = role_arn,
                                               .conditions = {{"aws:SourceAccount", snapshot.identities->account()}},
                                               .now = snapshot.now};
  if (credentials::authorize_assume_role(*snapshot.identities, request).allowed()) return {};
  const bool exists = snapshot.identities->find_role_by_arn(role_arn) != nullptr;
  return fail(
      Code::permission_denied,
      "ECS was unable to assume the role '{}' that was provided for this task. Please verify that the role being passed has the "
      "proper trust relationship and permissions and that your IAM user has permissions to pass this role. (berth: {})",
      role_arn, exists ? "its trust policy does not allow sts:AssumeRole to ecs-tasks.amazonaws.com" : "there is no such role");
}

MountClient client_of(const Snapshot& snapshot, const nlohmann::json& document) {
  return {.task = snapshot.task.id.str(),
          .role_arn = document.value("taskRoleArn", std::string()),
          .zone = snapshot.task.zone,
          .vpc = snapshot.vpc,
          .now = snapshot.now,
          .execution_role_arn = document.value("executionRoleArn", std::string()),
          .closed = {}};
}

Result<std::vector<runtime::Volume>> decide_volumes(const control::ControlPlane& plane, const Snapshot& snapshot, Volumes volumes,
                                                    MountClient client, const std::string& file_systems) {
  const auto catalog = plane.read([&](const Control& c) {
    client.closed = closed_targets(c, snapshot.task, volumes.efs);
    return excerpt(c.catalog, volumes.efs);
  });
  for (const auto& volume : volumes.efs) {
    auto spec = decide_mount(catalog, *snapshot.identities, volume, client, plane.region(), file_systems);
    if (!spec) return fail(spec.error());
    auto missing = missing_root(volume, *spec, plane.region()).stopped_reason();
    volumes.ready.push_back(
        {.name = volume.name, .kind = runtime::Volume::Kind::efs, .share = std::move(*spec), .root_missing = std::move(missing)});
  }
  return std::move(volumes.ready);
}

// Every mount point must name a volume; ECS checks it at registration, and an override can't change it.
Result<> check_mount_points(const runtime::TaskLaunch& launch) {
  for (const auto& container : launch.containers)
    for (const auto& point : container.mount_points)
      if (std::none_of(launch.volumes.begin(), launch.volumes.end(),
                       [&](const auto& volume) { return volume.name == point.volume; }))
        return fail(Code::invalid_argument,
                    "ResourceInitializationError: container `{}` mounts `{}`, which is not a volume of the task", container.name,
                    point.volume);
  return {};
}

}  // namespace

Result<runtime::TaskLaunch> Launcher::prepare(const cluster_sim::TaskId& id) {
  const auto snapshot = take_snapshot(plane_, id);
  if (!snapshot) return fail(snapshot.error());
  const auto definition = Json::parse(snapshot->definition, nullptr, false);
  const auto document = Json::parse(snapshot->task.document, nullptr, false);
  if (!definition.is_object() || !document.is_object())
    return fail(Code::internal, "the record of task `{}` can't be read", id.str());

  const auto role_arn = document.value("taskRoleArn", std::string());
  for (const auto& role : {role_arn, document.value("executionRoleArn", std::string())})
    if (auto checked = check_role(*snapshot, role); !checked) return fail(checked.error());

  runtime::TaskLaunch launch{.id = runtime::TaskId(id.str()), .arn = snapshot->task.arn, .interface = snapshot->interface};
  const auto mode = read_network_mode(definition);
  if (!mode) return fail(mode.error());
  launch.network = *mode;
  if (launch.network == runtime::NetworkMode::awsvpc && !launch.interface)
    return fail(Code::internal, "task `{}` is awsvpc and has no network interface", id.str());
  if (launch.interface) launch.hostname = host_name(launch.interface->address, plane_.region());
  const auto cpu = read_size(document, "cpu"), memory = read_size(document, "memory");
  if (!cpu) return fail(cpu.error());
  if (!memory) return fail(memory.error());
  launch.cpu = *cpu;
  launch.memory_mib = *memory;

  auto volumes = read_volumes(definition);
  if (!volumes) return fail(volumes.error());
  auto decided = decide_volumes(plane_, *snapshot, std::move(*volumes), client_of(*snapshot, document), options_.file_systems);
  if (!decided) return fail(decided.error());
  launch.volumes = std::move(*decided);

  const auto definitions = definition.value("containerDefinitions", Json::array());
  const auto overrides = document.value("overrides", Json::object());
  std::vector<std::string> names;
  for (const auto& json : definitions) {
    auto container = read_container(json, overrides, definitions);
    if (!container) return fail(container.error());
    names.push_back(container->name);
    launch.containers.push_back(std::move(*container));
  }
  if (auto checked = check_mount_points(launch); !checked) return fail(checked.error());

  const auto endpoint = plane_.with([&](Control& c) -> Result<control::TaskEndpoint> {
    if (auto there = control::find_task_endpoint(c.documents, id.str())) return *there;
    auto made = control::make_task_endpoint(c.random, role_arn, names);
    control::put_task_endpoint(c.documents, id.str(), made);
    return made;
  });
  if (!endpoint) return fail(endpoint.error());
  for (auto& container : launch.containers)
    inject(container.environment, {.credentials_id = endpoint->credentials_id,
                                   .metadata_id = endpoint->containers.at(container.name),
                                   .launch_type = snapshot->task.launch_type,
                                   .region = plane_.region(),
                                   .front_door_port = options_.front_door_port});
  return launch;
}

std::vector<Launcher::MountGrant> Launcher::grants_for(const cluster_sim::TaskId& id) const {
  std::vector<MountGrant> grants;
  const auto snapshot = take_snapshot(plane_, id);
  if (!snapshot) return grants;
  const auto definition = Json::parse(snapshot->definition, nullptr, false);
  const auto document = Json::parse(snapshot->task.document, nullptr, false);
  if (!definition.is_object() || !document.is_object()) return grants;
  auto volumes = read_volumes(definition);
  if (!volumes) return grants;
  const auto catalog = plane_.read([&](const Control& c) { return excerpt(c.catalog, volumes->efs); });
  const auto client = client_of(*snapshot, document);
  for (const auto& volume : volumes->efs) {
    const auto spec = decide_mount(catalog, *snapshot->identities, volume, client, plane_.region(), options_.file_systems);
    Grant grant;
    grant.mount = spec.has_value();
    if (spec)
      grant.rights = spec->rights;
    else
      grant.denial = spec.error().message;
    grants.push_back({mount_id(id.str(), volume.name), std::move(grant)});
  }
  return grants;
}

void Launcher::forget(const cluster_sim::TaskId& task) {
  plane_.apply([&](Control& c) { c.documents.erase(control::kTaskEndpointKind, task.str()); });
}

}  // namespace berth::launch

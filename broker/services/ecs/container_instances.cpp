#include <algorithm>

#include <nlohmann/json.hpp>

#include "broker/base/json_depth.hpp"
#include "broker/control/control_plane.hpp"
#include "broker/services/ecs/clusters.hpp"
#include "broker/services/ecs/container_instance_json.hpp"
#include "broker/services/ecs/definition.hpp"
#include "broker/services/ecs/errors.hpp"
#include "broker/services/ecs/operations.hpp"
#include "broker/services/ecs/page.hpp"
#include "broker/services/ecs/tag_list.hpp"

namespace berth::services::ecs {

using cluster_sim::ClusterName;
using cluster_sim::ContainerInstance;
using cluster_sim::ContainerInstanceId;
using control::Control;

namespace {

constexpr std::size_t kInstancesDescribedMax = 100, kUpdatedMax = 10;

const ContainerInstance* find(const Control& c, const ClusterName& cluster, const ContainerInstanceId& id) {
  const auto found = c.cluster.container_instances().find(id);
  return found == c.cluster.container_instances().end() || found->second.cluster != cluster ? nullptr : &found->second;
}

Outcome<std::vector<ContainerInstanceId>> read_ids(const Home& home, const ClusterName& cluster, const Json& texts,
                                                   std::size_t max) {
  if (texts.empty()) return invalid("Container instances cannot be empty.");
  if (texts.size() > max) return invalid("At most {} container instances can be given.", max);
  std::vector<ContainerInstanceId> ids;
  for (const auto& text : texts) {
    auto id = read_container_instance(home, cluster, text.get<std::string>());
    if (!id) return refused(id);
    ids.push_back(std::move(*id));
  }
  return ids;
}

Json missing(const Home& home, const ClusterName& cluster, const ContainerInstanceId& id) {
  return {{"arn", home.container_instance_arn(cluster.str(), id.str())}, {"reason", "MISSING"}};
}

// The machine that the agent runs on, as its instance identity document names it. Berth makes these documents itself and does
// not sign them yet: what stands for the signature is that the caller may register instances in the cluster.
Outcome<std::string> instance_in_document(const Json& input) {
  const auto text = text_of(input, "instanceIdentityDocument");
  const auto document = nests_deeper(text) ? Json() : Json::parse(text, nullptr, false);
  const auto id = document.is_object() ? text_of(document, "instanceId") : std::string();
  if (id.empty()) return client_error("EC2 instance identity document is missing or malformed.");
  return id;
}

}  // namespace

Outcome<Json> register_container_instance(const Parts& parts, const CallContext&, const Json& input) {
  const auto cluster = cluster_of(home_of(parts), input);
  if (!cluster) return refused(cluster);
  auto tags = read_tags(input);
  if (!tags) return refused(tags);
  auto resources = read_resources(list_of(input, "totalResources"));
  if (!resources) return refused(resources);
  auto machine = instance_in_document(input);
  if (!machine) return refused(machine);
  const auto version = input.value("versionInfo", Json::object());
  return parts.plane.with([&](Control& c) -> Outcome<Json> {
    if (auto found = need_cluster(c, *cluster); !found) return refused(found);
    auto id = c.cluster.register_container_instance(c.now, c.random,
                                                    {.cluster = *cluster,
                                                     .instance = cluster_sim::InstanceId(std::move(*machine)),
                                                     .cpu = resources->cpu,
                                                     .memory_mib = resources->memory_mib,
                                                     .ports = std::move(resources->ports),
                                                     .udp_ports = std::move(resources->udp_ports),
                                                     .attributes = read_attributes(list_of(input, "attributes")),
                                                     .version_info = version.dump(),
                                                     .agent_version = text_of(version, "agentVersion"),
                                                     .tags = std::move(*tags)});
    if (!id) return client_error("{}", id.error().message);
    return Json{{"containerInstance", describe(c, c.cluster.container_instances().at(*id), {.tags = true})}};
  });
}

Outcome<Json> deregister_container_instance(const Parts& parts, const CallContext&, const Json& input) {
  const auto home = home_of(parts);
  const auto cluster = cluster_of(home, input);
  if (!cluster) return refused(cluster);
  const auto id = read_container_instance(home, *cluster, text_of(input, "containerInstance"));
  if (!id) return refused(id);
  return parts.plane.with([&](Control& c) -> Outcome<Json> {
    if (auto found = need_cluster(c, *cluster); !found) return refused(found);
    if (find(c, *cluster, *id) == nullptr) return invalid("The referenced container instance was not found.");
    if (auto done = c.cluster.deregister_container_instance(c.now, *id, input.value("force", false)); !done)
      return refused(done.error());
    return Json{{"containerInstance", describe(c, c.cluster.container_instances().at(*id), {.tags = true})}};
  });
}

Outcome<Json> update_container_instances_state(const Parts& parts, const CallContext&, const Json& input) {
  const auto home = home_of(parts);
  const auto cluster = cluster_of(home, input);
  if (!cluster) return refused(cluster);
  const auto status = text_of(input, "status");
  if (status != "ACTIVE" && status != "DRAINING")
    return invalid("Container instances can be set to ACTIVE or DRAINING only, not to {}.", status);
  const auto ids = read_ids(home, *cluster, input.at("containerInstances"), kUpdatedMax);
  if (!ids) return refused(ids);
  return parts.plane.with([&](Control& c) -> Outcome<Json> {
    if (auto found = need_cluster(c, *cluster); !found) return refused(found);
    Json answer{{"containerInstances", Json::array()}, {"failures", Json::array()}};
    for (const auto& id : *ids) {
      const auto* instance = find(c, *cluster, id);
      if (instance == nullptr) {
        answer["failures"].push_back(missing(home, *cluster, id));
      } else if (c.cluster.set_container_instance_status(c.now, id, status == "DRAINING")) {
        answer["containerInstances"].push_back(describe(c, *instance, {.tags = true}));
      } else {
        answer["failures"].push_back({{"arn", instance->arn}, {"reason", "INACTIVE"}});
      }
    }
    return answer;
  });
}

Outcome<Json> describe_container_instances(const Parts& parts, const CallContext&, const Json& input) {
  const auto home = home_of(parts);
  const auto cluster = cluster_of(home, input);
  if (!cluster) return refused(cluster);
  const auto ids = read_ids(home, *cluster, input.at("containerInstances"), kInstancesDescribedMax);
  if (!ids) return refused(ids);
  const Shown shown{.tags = includes(input, "TAGS"), .health = includes(input, "CONTAINER_INSTANCE_HEALTH")};
  return parts.plane.read([&](const Control& c) -> Outcome<Json> {
    if (auto found = need_cluster(c, *cluster); !found) return refused(found);
    Json answer{{"containerInstances", Json::array()}, {"failures", Json::array()}};
    for (const auto& id : *ids) {
      if (const auto* instance = find(c, *cluster, id))
        answer["containerInstances"].push_back(describe(c, *instance, shown));
      else
        answer["failures"].push_back(missing(home, *cluster, id));
    }
    return answer;
  });
}

Outcome<Json> list_container_instances(const Parts& parts, const CallContext&, const Json& input) {
  const auto cluster = cluster_of(home_of(parts), input);
  if (!cluster) return refused(cluster);
  const auto status = text_of(input, "status");
  const auto arns = parts.plane.read([&](const Control& c) -> Outcome<std::vector<std::string>> {
    if (auto found = need_cluster(c, *cluster); !found) return refused(found);
    const auto ids = c.cluster.filter_container_instances(*cluster, text_of(input, "filter"));
    if (!ids) return invalid("Invalid filter: {}", ids.error().message);
    std::vector<std::string> matching;
    for (const auto& id : *ids) {
      const auto& instance = c.cluster.container_instances().at(id);
      if (status.empty() || instance.status == status) matching.push_back(instance.arn);
    }
    std::sort(matching.begin(), matching.end());
    return matching;
  });
  if (!arns) return refused(arns);
  return write_page(*arns, input, "containerInstanceArns");
}

}  // namespace berth::services::ecs

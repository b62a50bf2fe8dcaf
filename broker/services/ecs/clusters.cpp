#include "broker/services/ecs/clusters.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "broker/control/control_plane.hpp"
#include "broker/services/ecs/definition.hpp"
#include "broker/services/ecs/errors.hpp"
#include "broker/services/ecs/operations.hpp"
#include "broker/services/ecs/page.hpp"
#include "broker/services/ecs/tag_list.hpp"

namespace berth::services::ecs {

using cluster_sim::ClusterName;
using cluster_sim::EcsCluster;
using cluster_sim::TaskStatus;
using control::Control;

namespace {

constexpr std::size_t kClustersDescribedMax = 100;
constexpr int kBaseMax = 100'000, kWeightMax = 1000;

struct Counts {
  int instances = 0, running = 0, pending = 0, running_fargate = 0, pending_fargate = 0;
};

Counts count(const Control& c, const ClusterName& name) {
  Counts counts;
  for (const auto& [id, instance] : c.cluster.container_instances())
    counts.instances += instance.cluster == name && instance.status != "INACTIVE" ? 1 : 0;
  for (const auto& [id, task] : c.cluster.tasks()) {
    if (task.cluster != name || task.stop_wanted) continue;
    const bool fargate = task.launch_type == cluster_sim::LaunchType::fargate;
    if (task.last == TaskStatus::running)
      ++(fargate ? counts.running_fargate : counts.running);
    else if (task.last < TaskStatus::running)
      ++(fargate ? counts.pending_fargate : counts.pending);
  }
  return counts;
}

Json statistics(const Counts& counts) {
  const auto pair = [](const char* name, int value) { return Json{{"name", name}, {"value", std::to_string(value)}}; };
  return Json::array({pair("runningEC2TasksCount", counts.running), pair("runningFargateTasksCount", counts.running_fargate),
                      pair("pendingEC2TasksCount", counts.pending), pair("pendingFargateTasksCount", counts.pending_fargate),
                      pair("activeEC2ServiceCount", 0), pair("activeFargateServiceCount", 0), pair("drainingEC2ServiceCount", 0),
                      pair("drainingFargateServiceCount", 0)});
}

struct ClusterDetails {
  bool settings = true, configurations = true, statistics = false, tags = true;
};

Json describe(const Control& c, const EcsCluster& cluster, const ClusterDetails& shown) {
  const auto document = parse_document(cluster);
  const auto counts = count(c, cluster.name);
  Json json{{"clusterArn", cluster.arn},
            {"clusterName", cluster.name.str()},
            {"status", cluster.status},
            {"registeredContainerInstancesCount", counts.instances},
            {"runningTasksCount", counts.running + counts.running_fargate},
            {"pendingTasksCount", counts.pending + counts.pending_fargate},
            {"activeServicesCount", 0},
            {"statistics", shown.statistics ? statistics(counts) : Json::array()},
            {"settings", shown.settings ? list_of(document, "settings") : Json::array()},
            {"capacityProviders", cluster.capacity_providers},
            {"defaultCapacityProviderStrategy", list_of(document, "defaultCapacityProviderStrategy")},
            {"tags", shown.tags ? write_tags(cluster.tags) : Json::array()}};
  if (shown.configurations && document.contains("configuration")) json["configuration"] = document["configuration"];
  return json;
}

Json answer_cluster(const Control& c, const ClusterName& name) {
  return {{"cluster", describe(c, c.cluster.clusters().at(name), ClusterDetails{})}};
}

Outcome<void> check_settings(const Json& settings) {
  for (const auto& setting : settings) {
    const auto value = text_of(setting, "value");
    if (text_of(setting, "name") == "containerInsights" && value != "enabled" && value != "disabled" && value != "enhanced")
      return invalid("The containerInsights setting must be enabled, disabled or enhanced.");
  }
  return {};
}

Outcome<void> check_providers(const std::vector<std::string>& providers) {
  for (const auto& provider : providers) {
    if (provider != "FARGATE" && provider != "FARGATE_SPOT")
      return invalid("The specified capacity provider '{}' was not found. Specify a valid name or ARN and try again.", provider);
  }
  return {};
}

// What of the input is kept in the cluster's document.
Outcome<Json> document_of(const Json& input, Json document, const std::vector<std::string>& providers) {
  if (auto checked = check_settings(list_of(input, "settings")); !checked) return refused(checked);
  if (auto checked = check_providers(providers); !checked) return refused(checked);
  if (auto checked = check_strategy(list_of(input, "defaultCapacityProviderStrategy"), providers); !checked)
    return refused(checked);
  if (input.contains("serviceConnectDefaults") && !text_of(input["serviceConnectDefaults"], "namespace").empty())
    return api::refuse("NamespaceNotFoundException", "Berth has no Cloud Map namespaces yet: leave serviceConnectDefaults out.");
  for (const auto* member : {"settings", "configuration", "defaultCapacityProviderStrategy"})
    if (input.contains(member)) document[member] = input[member];
  return document;
}

// Applies `change` to an ACTIVE cluster and answers it.
template <class Change>
Outcome<Json> change_cluster(const Parts& parts, const Json& input, Change change) {
  const auto name = cluster_of(home_of(parts), input);
  if (!name) return refused(name);
  return parts.plane.with([&](Control& c) -> Outcome<Json> {
    if (auto found = need_cluster(c, *name); !found) return refused(found);
    auto cluster = c.cluster.clusters().at(*name);
    if (Outcome<void> changed = change(cluster); !changed) return refused(changed);
    *c.cluster.edit(*name) = std::move(cluster);
    return answer_cluster(c, *name);
  });
}

}  // namespace

Json parse_document(const EcsCluster& cluster) {
  return cluster.document.empty() ? Json::object() : Json::parse(cluster.document);
}

Outcome<const EcsCluster*> need_cluster(const Control& c, const ClusterName& name) {
  const auto found = c.cluster.clusters().find(name);
  if (found == c.cluster.clusters().end()) return api::refuse("ClusterNotFoundException", "Cluster not found.");
  if (found->second.status != "ACTIVE") return api::refuse("ClusterNotFoundException", "The referenced cluster was inactive.");
  return &found->second;
}

Outcome<void> check_strategy(const Json& strategy, const std::vector<std::string>& providers) {
  int bases = 0, weights = 0;
  for (const auto& item : strategy) {
    const auto base = item.value("base", 0), weight = item.value("weight", 0);
    if (std::find(providers.begin(), providers.end(), text_of(item, "capacityProvider")) == providers.end())
      return invalid(
          "The specified capacity provider strategy cannot contain a capacity provider that is not associated with the cluster. "
          "Associate the capacity provider with the cluster or specify a valid capacity provider and try again.");
    if (base < 0 || base > kBaseMax || weight < 0 || weight > kWeightMax)
      return invalid("The base of a capacity provider must be between 0 and {}, its weight between 0 and {}.", kBaseMax,
                     kWeightMax);
    bases += base > 0 ? 1 : 0;
    weights += weight;
  }
  if (bases > 1) return invalid("The specified capacity provider strategy can contain only one capacity provider with a base.");
  if (strategy.size() > 1 && weights == 0)
    return invalid("At least one capacity provider of a strategy must have a weight greater than 0.");
  return {};
}

Outcome<Json> create_cluster(const Parts& parts, const CallContext&, const Json& input) {
  const auto name = read_cluster(home_of(parts), text_of(input, "clusterName"));
  if (!name) return refused(name);
  auto tags = read_tags(input);
  if (!tags) return refused(tags);
  const auto providers = input.value("capacityProviders", std::vector<std::string>());
  auto document =
      document_of(input, Json{{"settings", Json::array({{{"name", "containerInsights"}, {"value", "disabled"}}})}}, providers);
  if (!document) return document;
  return parts.plane.with([&](Control& c) -> Outcome<Json> {
    const auto there = c.cluster.clusters().find(*name);
    if (there == c.cluster.clusters().end() || there->second.status != "ACTIVE") {
      if (auto created = c.cluster.create_cluster(name->str(), document->dump(), std::move(*tags)); !created)
        return refused(created.error());
      c.cluster.edit(*name)->capacity_providers = providers;
    }
    return answer_cluster(c, *name);
  });
}

Outcome<Json> describe_clusters(const Parts& parts, const CallContext&, const Json& input) {
  const auto home = home_of(parts);
  auto texts = input.value("clusters", std::vector<std::string>());
  if (texts.size() > kClustersDescribedMax)
    return invalid("At most {} clusters can be described at once.", kClustersDescribedMax);
  if (texts.empty()) texts.emplace_back("default");
  std::vector<ClusterName> names;
  for (const auto& text : texts) {
    auto name = read_cluster(home, text);
    if (!name) return refused(name);
    names.push_back(std::move(*name));
  }
  const ClusterDetails shown{includes(input, "SETTINGS"), includes(input, "CONFIGURATIONS"), includes(input, "STATISTICS"),
                             includes(input, "TAGS")};
  Json answer{{"clusters", Json::array()}, {"failures", Json::array()}};
  parts.plane.read([&](const Control& c) {
    for (const auto& name : names) {
      const auto found = c.cluster.clusters().find(name);
      if (found != c.cluster.clusters().end())
        answer["clusters"].push_back(describe(c, found->second, shown));
      else
        answer["failures"].push_back({{"arn", home.cluster_arn(name.str())}, {"reason", "MISSING"}});
    }
  });
  return answer;
}

Outcome<Json> list_clusters(const Parts& parts, const CallContext&, const Json& input) {
  std::vector<std::string> arns;
  parts.plane.read([&](const Control& c) {
    for (const auto& [name, cluster] : c.cluster.clusters())
      if (cluster.status == "ACTIVE") arns.push_back(cluster.arn);
  });
  return write_page(arns, input, "clusterArns");
}

Outcome<Json> delete_cluster(const Parts& parts, const CallContext&, const Json& input) {
  const auto name = cluster_of(home_of(parts), input);
  if (!name) return refused(name);
  return parts.plane.with([&](Control& c) -> Outcome<Json> {
    if (auto found = need_cluster(c, *name); !found) return refused(found);
    const auto counts = count(c, *name);
    if (counts.instances > 0)
      return api::refuse("ClusterContainsContainerInstancesException",
                         "The Cluster cannot be deleted while Container Instances are active or draining.");
    // A task that is on its way to STOPPED keeps the cluster too; the cluster knows.
    if (auto deleted = c.cluster.delete_cluster(*name); !deleted) {
      if (deleted.error().code == Code::failed_precondition)
        return api::refuse("ClusterContainsTasksException", "The Cluster cannot be deleted while Tasks are active.");
      return refused(deleted.error());
    }
    return answer_cluster(c, *name);
  });
}

Outcome<Json> update_cluster(const Parts& parts, const CallContext&, const Json& input) {
  return change_cluster(parts, input, [&](EcsCluster& cluster) -> Outcome<void> {
    auto document = document_of(input, parse_document(cluster), cluster.capacity_providers);
    if (!document) return refused(document);
    cluster.document = document->dump();
    return {};
  });
}

Outcome<Json> update_cluster_settings(const Parts& parts, const CallContext& context, const Json& input) {
  return update_cluster(parts, context, input);
}

Outcome<Json> put_cluster_capacity_providers(const Parts& parts, const CallContext&, const Json& input) {
  return change_cluster(parts, input, [&](EcsCluster& cluster) -> Outcome<void> {
    const auto providers = input.at("capacityProviders").get<std::vector<std::string>>();
    auto document = document_of(input, parse_document(cluster), providers);
    if (!document) return refused(document);
    cluster.capacity_providers = providers;
    cluster.document = document->dump();
    return {};
  });
}

}  // namespace berth::services::ecs

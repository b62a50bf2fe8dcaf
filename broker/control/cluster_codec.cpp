#include "broker/control/cluster_codec.hpp"

#include <array>

#include <nlohmann/json.hpp>

// Each record names its fields once, in fields(); writing and reading both walk that list, so that neither can forget one.

namespace berth::control {
namespace {

using namespace cluster_sim;
using Json = nlohmann::json;

// --- values

void put(Json& json, const std::string& value) { json = value; }
void put(Json& json, bool value) { json = value; }
void put(Json& json, int value) { json = value; }
void put(Json& json, unsigned value) { json = value; }
void put(Json& json, TimePoint value) { json = value.time_since_epoch().count(); }
template <class Tag>
void put(Json& json, const Id<Tag>& value) {
  json = value.str();
}
template <class T>
  requires std::is_enum_v<T>
void put(Json& json, T value) {
  json = static_cast<int>(value);
}
template <class T>
void put(Json& json, const std::optional<T>& value);
template <class T>
void put(Json& json, const std::vector<T>& values);
template <class T>
void put(Json& json, const std::set<T>& values);
template <class V>
void put(Json& json, const std::map<std::string, V>& values);
template <class V>
void put(Json& json, const std::map<int, V>& values);
template <class T>
  requires std::is_class_v<T> && std::is_aggregate_v<T>
void put(Json& json, const T& record);

void get(const Json& json, std::string& value) { value = json.get<std::string>(); }
void get(const Json& json, bool& value) { value = json.get<bool>(); }
void get(const Json& json, int& value) { value = json.get<int>(); }
void get(const Json& json, unsigned& value) { value = json.get<unsigned>(); }
void get(const Json& json, TimePoint& value) { value = TimePoint(std::chrono::microseconds(json.get<std::int64_t>())); }
template <class Tag>
void get(const Json& json, Id<Tag>& value) {
  value = Id<Tag>(json.get<std::string>());
}
template <class T>
  requires std::is_enum_v<T>
void get(const Json& json, T& value) {
  value = static_cast<T>(json.get<int>());
}
template <class T>
void get(const Json& json, std::optional<T>& value);
template <class T>
void get(const Json& json, std::vector<T>& values);
template <class T>
void get(const Json& json, std::set<T>& values);
template <class V>
void get(const Json& json, std::map<std::string, V>& values);
template <class V>
void get(const Json& json, std::map<int, V>& values);
template <class T>
  requires std::is_class_v<T> && std::is_aggregate_v<T>
void get(const Json& json, T& record);

// --- records: `R` is const for writing

template <class R, class Base>
concept Of = std::same_as<std::remove_const_t<R>, Base>;

template <Of<Cidr> R>
void fields(R& r, auto&& f) {
  f("address", r.address), f("prefix", r.prefix_length);
}

template <Of<Vpc> R>
void fields(R& r, auto&& f) {
  f("id", r.id), f("block", r.block), f("default", r.is_default), f("dns_support", r.dns_support),
      f("dns_hostnames", r.dns_hostnames);
  f("tags", r.tags);
}

// `used` is not here: it follows from the interfaces.
template <Of<Subnet> R>
void fields(R& r, auto&& f) {
  f("id", r.id), f("vpc", r.vpc), f("zone", r.zone), f("zone_id", r.zone_id), f("block", r.block),
      f("map_public_ip", r.map_public_ip);
  f("tags", r.tags);
}

template <Of<SecurityGroup::Rule> R>
void fields(R& r, auto&& f) {
  f("egress", r.egress), f("protocol", r.protocol), f("from_port", r.from_port), f("to_port", r.to_port), f("cidrs", r.cidrs);
  f("groups", r.groups);
}

template <Of<SecurityGroup> R>
void fields(R& r, auto&& f) {
  f("id", r.id), f("vpc", r.vpc), f("name", r.name), f("description", r.description), f("tags", r.tags), f("rules", r.rules);
}

template <Of<Interface> R>
void fields(R& r, auto&& f) {
  f("id", r.id), f("subnet", r.subnet), f("address", r.address), f("mac", r.mac), f("description", r.description);
  f("security_groups", r.security_groups), f("owner", r.owner), f("attachment", r.attachment_id), f("tags", r.tags);
}

template <Of<LaunchTemplateData> R>
void fields(R& r, auto&& f) {
  f("image", r.image_id), f("type", r.instance_type), f("user_data", r.user_data), f("profile", r.instance_profile),
      f("key", r.key_name);
  f("spot", r.spot), f("security_groups", r.security_groups), f("document", r.document);
}

template <Of<LaunchTemplate> R>
void fields(R& r, auto&& f) {
  f("id", r.id), f("name", r.name), f("created", r.created), f("versions", r.versions), f("default", r.default_version),
      f("tags", r.tags);
}

template <Of<AutoScalingGroup::Activity> R>
void fields(R& r, auto&& f) {
  f("id", r.id), f("description", r.description), f("cause", r.cause), f("status", r.status), f("started", r.started),
      f("ended", r.ended);
}

template <Of<AutoScalingGroup> R>
void fields(R& r, auto&& f) {
  f("name", r.name), f("arn", r.arn), f("template", r.launch_template), f("version", r.launch_template_version),
      f("types", r.instance_types);
  f("on_demand_base", r.on_demand_base), f("on_demand_percentage", r.on_demand_percentage), f("spot_pools", r.spot_pools);
  f("subnets", r.subnets), f("min", r.min_size), f("max", r.max_size), f("desired", r.desired), f("created", r.created);
  f("protect", r.protect_new_instances), f("tags", r.tags), f("propagated_tags", r.propagated_tags), f("document", r.document),
      f("activities", r.activities);
}

template <Of<Instance> R>
void fields(R& r, auto&& f) {
  f("id", r.id), f("type", r.type), f("image", r.image_id), f("subnet", r.subnet), f("zone", r.zone), f("interface", r.interface);
  f("state", r.state), f("profile", r.instance_profile), f("user_data", r.user_data), f("group", r.group), f("spot", r.spot);
  f("protected", r.protected_from_scale_in), f("launched", r.launched), f("terminated", r.terminated), f("console", r.console);
  f("state_reason", r.state_reason), f("client_token", r.client_token), f("tags", r.tags);
}

template <Of<EcsCluster> R>
void fields(R& r, auto&& f) {
  f("name", r.name), f("arn", r.arn), f("status", r.status), f("providers", r.capacity_providers), f("document", r.document),
      f("tags", r.tags);
}

template <Of<ContainerInstance> R>
void fields(R& r, auto&& f) {
  f("id", r.id), f("cluster", r.cluster), f("arn", r.arn), f("instance", r.ec2_instance), f("zone", r.zone),
      f("subnet", r.subnet);
  f("status", r.status), f("connected", r.agent_connected), f("registered", r.registered), f("version", r.version),
      f("cpu", r.cpu);
  f("memory", r.memory_mib), f("ports", r.ports), f("udp_ports", r.udp_ports), f("attributes", r.attributes),
      f("version_info", r.version_info);
  f("agent_version", r.agent_version), f("status_reason", r.status_reason), f("deregistered", r.deregistered), f("tags", r.tags);
}

template <Of<HostPort> R>
void fields(R& r, auto&& f) {
  f("port", r.port), f("udp", r.udp);
}

template <Of<PlacementConstraint> R>
void fields(R& r, auto&& f) {
  f("kind", r.kind), f("expression", r.expression);
}

template <Of<TaskRequirements> R>
void fields(R& r, auto&& f) {
  f("task_definition", r.task_definition_arn), f("awsvpc", r.awsvpc), f("cpu", r.cpu), f("memory", r.memory_mib),
      f("ports", r.ports);
  f("attributes", r.attributes), f("constraints", r.constraints), f("containers", r.containers), f("essential", r.essential);
}

template <Of<ContainerState> R>
void fields(R& r, auto&& f) {
  f("name", r.name), f("essential", r.essential), f("last_status", r.last_status), f("runtime_id", r.runtime_id),
      f("exit_code", r.exit_code);
  f("reason", r.reason), f("health", r.health);
}

template <Of<Task> R>
void fields(R& r, auto&& f) {
  f("id", r.id), f("arn", r.arn), f("cluster", r.cluster), f("task_definition", r.task_definition_arn),
      f("requirements", r.requirements);
  f("launch_type", r.launch_type), f("provider", r.capacity_provider), f("container_instance", r.container_instance),
      f("zone", r.zone);
  f("interface", r.interface), f("attachment", r.attachment_id), f("subnet", r.subnet), f("address", r.address), f("mac", r.mac);
  f("last", r.last), f("stop_wanted", r.stop_wanted), f("containers", r.containers), f("group", r.group),
      f("started_by", r.started_by);
  f("stop_code", r.stop_code), f("stopped_reason", r.stopped_reason), f("health", r.health), f("version", r.version),
      f("created", r.created);
  f("connectivity_at", r.connectivity_at), f("pull_started", r.pull_started), f("pull_stopped", r.pull_stopped),
      f("started", r.started);
  f("stopping", r.stopping), f("execution_stopped", r.execution_stopped), f("stopped", r.stopped),
      f("connectivity", r.connectivity);
  f("tags", r.tags), f("document", r.document);
}

// --- composites

template <class T>
void put(Json& json, const std::optional<T>& value) {
  if (value) put(json, *value);
}
template <class T>
void put(Json& json, const std::vector<T>& values) {
  json = Json::array();
  for (const auto& value : values) {
    if constexpr (std::same_as<T, bool>)
      json.push_back(static_cast<bool>(value));
    else
      put(json.emplace_back(), value);
  }
}
template <class T>
void put(Json& json, const std::set<T>& values) {
  json = Json::array();
  for (const auto& value : values) put(json.emplace_back(), value);
}
template <class V>
void put(Json& json, const std::map<std::string, V>& values) {
  json = Json::object();
  for (const auto& [key, value] : values) put(json[key], value);
}
template <class V>
void put(Json& json, const std::map<int, V>& values) {
  json = Json::object();
  for (const auto& [key, value] : values) put(json[std::to_string(key)], value);
}
template <class T>
  requires std::is_class_v<T> && std::is_aggregate_v<T>
void put(Json& json, const T& record) {
  json = Json::object();
  fields(record, [&](const char* name, const auto& value) {
    Json written;
    put(written, value);
    if (!written.is_null()) json[name] = std::move(written);
  });
}

template <class T>
void get(const Json& json, std::optional<T>& value) {
  get(json, value.emplace());
}
template <class T>
void get(const Json& json, std::vector<T>& values) {
  values.clear();
  for (const auto& item : json) {
    T value{};
    get(item, value);
    values.push_back(std::move(value));
  }
}
template <class T>
void get(const Json& json, std::set<T>& values) {
  values.clear();
  for (const auto& item : json) {
    T value{};
    get(item, value);
    values.insert(std::move(value));
  }
}
template <class V>
void get(const Json& json, std::map<std::string, V>& values) {
  values.clear();
  for (const auto& [key, item] : json.items()) get(item, values[key]);
}
template <class V>
void get(const Json& json, std::map<int, V>& values) {
  values.clear();
  for (const auto& [key, item] : json.items()) get(item, values[std::stoi(key)]);
}
template <class T>
  requires std::is_class_v<T> && std::is_aggregate_v<T>
void get(const Json& json, T& record) {
  fields(record, [&](const char* name, auto& value) {
    if (auto found = json.find(name); found != json.end()) get(*found, value);
  });
}

// --- tables by kind

template <class Key, class Value>
std::optional<std::string> encode_from(const std::map<Key, Value>& table, const std::string& key) {
  auto found = table.find(Key(key));
  if (found == table.end()) return std::nullopt;
  Json json;
  put(json, found->second);
  // User data and console lines may hold any bytes: those that are no UTF-8 are written as U+FFFD and not refused.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

template <class Value>
void restore_as(Cluster& cluster, const Json& json) {
  Value record;
  get(json, record);
  cluster.restore(std::move(record));
}

struct Kind {
  std::string_view name;
  std::optional<std::string> (*encode)(const Cluster&, const std::string& key);
  void (*restore)(Cluster&, const Json&);
};

constexpr std::array kKinds{
    Kind{"vpc", [](const Cluster& c, const std::string& k) { return encode_from(c.vpcs(), k); }, restore_as<Vpc>},
    Kind{"subnet", [](const Cluster& c, const std::string& k) { return encode_from(c.subnets(), k); }, restore_as<Subnet>},
    Kind{"security-group", [](const Cluster& c, const std::string& k) { return encode_from(c.security_groups(), k); },
         restore_as<SecurityGroup>},
    Kind{"interface", [](const Cluster& c, const std::string& k) { return encode_from(c.interfaces(), k); },
         restore_as<Interface>},
    Kind{"launch-template", [](const Cluster& c, const std::string& k) { return encode_from(c.launch_templates(), k); },
         restore_as<LaunchTemplate>},
    Kind{"auto-scaling-group", [](const Cluster& c, const std::string& k) { return encode_from(c.groups(), k); },
         restore_as<AutoScalingGroup>},
    Kind{"instance", [](const Cluster& c, const std::string& k) { return encode_from(c.instances(), k); }, restore_as<Instance>},
    Kind{"ecs-cluster", [](const Cluster& c, const std::string& k) { return encode_from(c.clusters(), k); },
         restore_as<EcsCluster>},
    Kind{"container-instance", [](const Cluster& c, const std::string& k) { return encode_from(c.container_instances(), k); },
         restore_as<ContainerInstance>},
    Kind{"task", [](const Cluster& c, const std::string& k) { return encode_from(c.tasks(), k); }, restore_as<Task>},
};

const Kind* find_kind(std::string_view name) {
  for (const auto& kind : kKinds) {
    if (kind.name == name) return &kind;
  }
  return nullptr;
}

}  // namespace

std::optional<std::string> encode(const cluster_sim::Cluster& cluster, const cluster_sim::Change& change) {
  const Kind* kind = find_kind(change.kind);
  return kind ? kind->encode(cluster, change.key) : std::nullopt;
}

Result<> restore(cluster_sim::Cluster& cluster, std::string_view kind_name, std::string_view key, std::string_view text) {
  const Kind* kind = find_kind(kind_name);
  if (!kind) return fail(Code::invalid_argument, "`{}` is not a kind of the cluster's records", kind_name);
  try {
    kind->restore(cluster, nlohmann::json::parse(text));
  } catch (const std::exception& error) {
    return fail(Code::internal, "{} `{}`: {}", kind_name, key, error.what());
  }
  return {};
}

bool is_cluster_kind(std::string_view kind) { return find_kind(kind) != nullptr; }

}  // namespace berth::control

#include "broker/runtime/launch_json.hpp"

#include <nlohmann/json.hpp>

#include "broker/base/json_depth.hpp"

namespace berth::runtime {
namespace {

using nlohmann::json;

template <class T>
json optional_json(const std::optional<T>& value) {
  return value ? json(*value) : json(nullptr);
}

template <class T>
std::optional<T> optional_from(const json& object, const char* name) {
  if (object.at(name).is_null()) return std::nullopt;
  return object.at(name).get<T>();
}

json to_json(const NetworkInterface& i) {
  return {{"id", i.id}, {"mac", i.mac}, {"address", i.address}, {"prefix_length", i.prefix_length}, {"gateway", i.gateway}};
}

NetworkInterface interface_from(const json& j) {
  return {j.at("id"), j.at("mac"), j.at("address"), j.at("prefix_length"), j.at("gateway")};
}

// Only what taking a mount away needs: it is never made a second time from this text, rights may have changed since.
json to_json(const Volume& v) {
  return {{"name", v.name},
          {"kind", static_cast<int>(v.kind)},
          {"mount_id", v.share ? json(v.share->id.str()) : json(nullptr)},
          {"host_path", v.host_path}};
}

Volume volume_from(const json& j) {
  Volume volume{j.at("name"), static_cast<Volume::Kind>(j.at("kind").get<int>()), std::nullopt, j.at("host_path")};
  if (const auto id = optional_from<std::string>(j, "mount_id")) volume.share = fuse::MountSpec{.id = fuse::MountId(*id)};
  return volume;
}

json to_json(const Container& c) {
  json mounts = json::array(), ulimits = json::array(), dependencies = json::array();
  for (const MountPoint& m : c.mount_points)
    mounts.push_back({{"volume", m.volume}, {"container_path", m.container_path}, {"read_only", m.read_only}});
  for (const Ulimit& u : c.ulimits) ulimits.push_back({{"name", u.name}, {"soft", u.soft}, {"hard", u.hard}});
  for (const auto& d : c.depends_on) dependencies.push_back({{"container", d.container}, {"condition", d.condition}});
  json health = nullptr;
  if (c.health_check)
    health = {{"command", c.health_check->command},
              {"interval", c.health_check->interval.count()},
              {"timeout", c.health_check->timeout.count()},
              {"start_period", c.health_check->start_period.count()},
              {"retries", c.health_check->retries}};
  return {{"name", c.name},
          {"image", c.image},
          {"essential", c.essential},
          {"entry_point", c.entry_point},
          {"command", c.command},
          {"environment", c.environment},
          {"working_directory", c.working_directory},
          {"user", c.user},
          {"mount_points", mounts},
          {"cpu", optional_json(c.cpu)},
          {"memory_mib", optional_json(c.memory_mib)},
          {"memory_reservation_mib", optional_json(c.memory_reservation_mib)},
          {"read_only_root", c.read_only_root},
          {"privileged", c.privileged},
          {"add_capabilities", c.add_capabilities},
          {"drop_capabilities", c.drop_capabilities},
          {"ulimits", ulimits},
          {"hostname", c.hostname},
          {"stop_timeout", c.stop_timeout.count()},
          {"start_timeout", c.start_timeout ? json(c.start_timeout->count()) : json(nullptr)},
          {"depends_on", dependencies},
          {"health_check", health},
          {"init", c.init}};
}

Container container_from(const json& j) {
  Container c;
  c.name = j.at("name");
  c.image = j.at("image");
  c.essential = j.at("essential");
  c.entry_point = j.at("entry_point").get<std::vector<std::string>>();
  c.command = j.at("command").get<std::vector<std::string>>();
  c.environment = j.at("environment").get<std::map<std::string, std::string>>();
  c.working_directory = j.at("working_directory");
  c.user = j.at("user");
  for (const json& m : j.at("mount_points"))
    c.mount_points.push_back({m.at("volume"), m.at("container_path"), m.at("read_only")});
  c.cpu = optional_from<unsigned>(j, "cpu");
  c.memory_mib = optional_from<unsigned>(j, "memory_mib");
  c.memory_reservation_mib = optional_from<unsigned>(j, "memory_reservation_mib");
  c.read_only_root = j.at("read_only_root");
  c.privileged = j.at("privileged");
  c.add_capabilities = j.at("add_capabilities").get<std::vector<std::string>>();
  c.drop_capabilities = j.at("drop_capabilities").get<std::vector<std::string>>();
  for (const json& u : j.at("ulimits")) c.ulimits.push_back({u.at("name"), u.at("soft"), u.at("hard")});
  c.hostname = j.at("hostname");
  c.stop_timeout = std::chrono::seconds(j.at("stop_timeout").get<long>());
  if (const auto timeout = optional_from<long>(j, "start_timeout")) c.start_timeout = std::chrono::seconds(*timeout);
  for (const json& d : j.at("depends_on")) c.depends_on.push_back({d.at("container"), d.at("condition")});
  if (const json& h = j.at("health_check"); !h.is_null())
    c.health_check = Container::HealthCheck{h.at("command").get<std::vector<std::string>>(),
                                            std::chrono::seconds(h.at("interval").get<long>()),
                                            std::chrono::seconds(h.at("timeout").get<long>()),
                                            std::chrono::seconds(h.at("start_period").get<long>()), h.at("retries")};
  c.init = j.at("init");
  return c;
}

}  // namespace

std::string write_launch(const TaskLaunch& launch) {
  json volumes = json::array(), containers = json::array();
  for (const Volume& volume : launch.volumes) volumes.push_back(to_json(volume));
  for (const Container& container : launch.containers) containers.push_back(to_json(container));
  const json document{{"version", 1},
                      {"id", launch.id.str()},
                      {"arn", launch.arn},
                      {"network", static_cast<int>(launch.network)},
                      {"interface", launch.interface ? to_json(*launch.interface) : json(nullptr)},
                      {"volumes", volumes},
                      {"containers", containers},
                      {"cpu", optional_json(launch.cpu)},
                      {"memory_mib", optional_json(launch.memory_mib)},
                      {"hostname", launch.hostname}};
  return document.dump(1, ' ', false, json::error_handler_t::replace);
}

Result<TaskLaunch> read_launch(const std::string& text) {
  if (nests_deeper(text)) return fail(Code::invalid_argument, "launch record: nests more than {} deep", kJsonDepthMax);
  try {
    const json document = json::parse(text);
    TaskLaunch launch;
    launch.id = TaskId(document.at("id").get<std::string>());
    launch.arn = document.at("arn");
    launch.network = static_cast<NetworkMode>(document.at("network").get<int>());
    if (!document.at("interface").is_null()) launch.interface = interface_from(document.at("interface"));
    for (const json& volume : document.at("volumes")) launch.volumes.push_back(volume_from(volume));
    for (const json& container : document.at("containers")) launch.containers.push_back(container_from(container));
    launch.cpu = optional_from<unsigned>(document, "cpu");
    launch.memory_mib = optional_from<unsigned>(document, "memory_mib");
    launch.hostname = document.at("hostname");
    return launch;
  } catch (const json::exception& exception) {
    return fail(Code::invalid_argument, "launch record: {}", exception.what());
  }
}

}  // namespace berth::runtime

// `berth run`: one task from a command line.
#include <signal.h>

#include <atomic>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "broker/cli/commands.hpp"
#include "broker/cli/connection.hpp"
#include "broker/cli/logs.hpp"

namespace berth::cli {

using Json = nlohmann::json;

namespace {

std::atomic<bool> interrupted{false};

// FILE_SYSTEM[/ACCESS_POINT]:/path[:ro]
struct VolumeOption {
  std::string file_system, access_point, path;
  bool read_only = false;
};

Result<VolumeOption> parse_volume(const std::string& text) {
  VolumeOption volume;
  std::string rest = text;
  if (rest.ends_with(":ro")) {
    volume.read_only = true;
    rest.resize(rest.size() - 3);
  }
  const std::size_t colon = rest.find(':');
  if (colon == std::string::npos || colon + 1 >= rest.size() || rest[colon + 1] != '/' || !rest.starts_with("fs-")) {
    return fail(Code::invalid_argument, "volume `{}` is not FILE_SYSTEM[/ACCESS_POINT]:/path[:ro]", text);
  }
  volume.path = rest.substr(colon + 1);
  volume.file_system = rest.substr(0, colon);
  if (const std::size_t slash = volume.file_system.find('/'); slash != std::string::npos) {
    volume.access_point = volume.file_system.substr(slash + 1);
    volume.file_system.resize(slash);
  }
  return volume;
}

// The task definition that stands for the command line.
Result<Json> definition_of(const RunOptions& options, const std::string& account) {
  Json container{{"name", "main"}, {"image", options.image}, {"essential", true}, {"command", options.argv}};
  for (const std::string& variable : options.environment) {
    const std::size_t equals = variable.find('=');
    if (equals == 0 || equals == std::string::npos) return fail(Code::invalid_argument, "`{}` is not NAME=value", variable);
    container["environment"].push_back({{"name", variable.substr(0, equals)}, {"value", variable.substr(equals + 1)}});
  }
  Json definition{{"family", "berth-run"},
                  {"networkMode", "awsvpc"},
                  {"cpu", options.cpu},
                  {"memory", options.memory},
                  {"requiresCompatibilities", Json::array({options.launch_type})}};
  for (std::size_t i = 0; i < options.volumes.size(); ++i) {
    auto volume = parse_volume(options.volumes[i]);
    if (!volume) return fail(volume.error());
    const std::string name = fmt::format("volume-{}", i);
    Json efs{{"fileSystemId", volume->file_system}, {"transitEncryption", "ENABLED"}};
    if (!options.role.empty()) efs["authorizationConfig"]["iam"] = "ENABLED";
    if (!volume->access_point.empty()) efs["authorizationConfig"]["accessPointId"] = volume->access_point;
    definition["volumes"].push_back({{"name", name}, {"efsVolumeConfiguration", std::move(efs)}});
    container["mountPoints"].push_back(
        {{"sourceVolume", name}, {"containerPath", volume->path}, {"readOnly", volume->read_only}});
  }
  if (!options.role.empty()) {
    definition["taskRoleArn"] =
        options.role.starts_with("arn:") ? options.role : fmt::format("arn:aws:iam::{}:role/{}", account, options.role);
  }
  definition["containerDefinitions"] = Json::array({std::move(container)});
  return definition;
}

// The subnet to run in: the one named, or the default one of the zone.
Result<std::string> subnet_of(const RunOptions& options, const Json& status) {
  if (!options.subnet.empty()) return options.subnet;
  for (const Json& zone : status.at("zones")) {
    if (!options.zone.empty() && zone.value("name", "") != options.zone) continue;
    const std::string subnet = zone.value("default_subnet", "");
    if (!subnet.empty()) return subnet;
    return fail(Code::not_found, "zone `{}` has no default subnet: name one with --subnet", zone.value("name", ""));
  }
  return fail(Code::not_found, "no zone `{}` in region {}", options.zone, status.value("region", ""));
}

class Session {
 public:
  Session(const RunOptions& options, Json status)
      : options_(options), status_(std::move(status)), endpoint_(status_.value("endpoint", "")) {}

  Result<int> run() {
    if (auto made = ensure_cluster(); !made) return fail(made.error());
    auto definition = register_definition();
    if (!definition) return fail(definition.error());
    auto task = start(*definition);
    if (!task) return fail(task.error());
    return follow(*task);
  }

 private:
  Result<Json> call(const std::string& operation, const Json& input) {
    return ecs(options_.state_directory, endpoint_, operation, input);
  }

  Result<> ensure_cluster() {
    if (options_.cluster != "default") return {};
    auto made = call("CreateCluster", {{"clusterName", "default"}});
    if (!made) return fail(made.error());
    return {};
  }

  Result<std::string> register_definition() {
    if (!options_.task_definition.empty()) return options_.task_definition;
    auto definition = definition_of(options_, status_.value("account", ""));
    if (!definition) return fail(definition.error());
    auto registered = call("RegisterTaskDefinition", *definition);
    if (!registered) return fail(registered.error());
    return registered->at("taskDefinition").at("taskDefinitionArn").get<std::string>();
  }

  Result<Json> start(const std::string& definition) {
    auto subnet = subnet_of(options_, status_);
    if (!subnet) return fail(subnet.error());
    auto answer = call("RunTask", {{"cluster", options_.cluster},
                                   {"taskDefinition", definition},
                                   {"launchType", options_.launch_type},
                                   {"startedBy", "berth run"},
                                   {"networkConfiguration", {{"awsvpcConfiguration", {{"subnets", {*subnet}}}}}}});
    if (!answer) return fail(answer.error());
    if (answer->at("tasks").empty()) {
      const Json failures = answer->value("failures", Json::array());
      return fail(Code::resource_exhausted, "the task could not be placed: {}", failures.dump());
    }
    return answer->at("tasks").at(0);
  }

  // Streams the output of every container until the task has stopped.
  Result<int> follow(const Json& task) {
    const std::string arn = task.at("taskArn").get<std::string>();
    std::vector<LogReader> readers;
    const auto& containers = task.at("containers");
    for (const Json& container : containers) {
      const std::string name = container.value("name", "");
      readers.emplace_back(options_.state_directory, arn.substr(arn.rfind('/') + 1), name,
                           LogStyle{.container_names = containers.size() > 1});
    }
    const int wait_ms = readers.size() == 1 ? 1000 : 200;
    for (bool finished = false; !finished;) {
      if (interrupted.exchange(false)) {
        if (auto stopped = call("StopTask", {{"cluster", options_.cluster}, {"task", arn}, {"reason", "interrupted"}});
            !stopped) {
          return fail(stopped.error());
        }
      }
      finished = true;
      for (LogReader& reader : readers) {
        auto done = reader.step(wait_ms);
        if (!done) return fail(done.error());
        finished = finished && *done;
      }
    }
    return outcome(arn);
  }

  // What the first essential container that ran ended with: a container that only prepares the way doesn't speak for the task.
  static std::optional<int> exit_code(const Json& task, const Json& definition) {
    for (const Json& wanted : definition.at("containerDefinitions")) {
      if (!wanted.value("essential", true)) continue;
      for (const Json& container : task.at("containers")) {
        if (container.at("name") == wanted.at("name") && container.contains("exitCode")) return container["exitCode"].get<int>();
      }
    }
    return std::nullopt;
  }

  // The task's exit code; a task that never started is a failure of its own.
  Result<int> outcome(const std::string& arn) {
    auto described = call("DescribeTasks", {{"cluster", options_.cluster}, {"tasks", {arn}}});
    if (!described) return fail(described.error());
    const Json& task = described->at("tasks").at(0);
    if (options_.json) fmt::print("{}\n", task.dump(2));
    auto definition = call("DescribeTaskDefinition", {{"taskDefinition", task.at("taskDefinitionArn")}});
    if (!definition) return fail(definition.error());
    if (auto code = exit_code(task, definition->at("taskDefinition"))) return *code;
    return fail(Code::failed_precondition, "the task did not start: {}: {}", task.value("stopCode", ""),
                task.value("stoppedReason", ""));
  }

  const RunOptions& options_;
  Json status_;
  std::string endpoint_;
};

}  // namespace

Result<int> run(const RunOptions& options) {
  if (options.argv.empty() == options.task_definition.empty()) {
    return fail(Code::invalid_argument, "give a command behind `--`, or --task-definition");
  }
  auto status = daemon_status(options.state_directory);
  if (!status) return fail(status.error());
  struct sigaction action{};
  action.sa_handler = [](int) { interrupted = true; };
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  return Session(options, std::move(*status)).run();
}

}  // namespace berth::cli

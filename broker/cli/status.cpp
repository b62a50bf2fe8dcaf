// `berth status`, `berth stop` and `berth zone`.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "broker/base/encoding.hpp"
#include "broker/cli/commands.hpp"
#include "broker/cli/connection.hpp"
#include "broker/cli/table.hpp"

namespace berth::cli {

using Json = nlohmann::json;

namespace {

std::string text(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return "-";
  if (found->is_object()) {
    std::string members;
    for (const auto& [key, value] : found->items()) members += (members.empty() ? "" : ", ") + key + " " + value.dump();
    return members.empty() ? "-" : members;
  }
  if (!found->is_string()) return found->dump();
  std::string value = found->get<std::string>();
  if (value.empty()) return "-";
  // A stopped reason may be a paragraph; `--json` and describe-tasks have all of it.
  constexpr std::size_t kCellMax = 72;
  if (value.size() > kCellMax) value = value.substr(0, kCellMax - 3) + "...";
  return value;
}

// One table of `rows`: a column for each (heading, member).
void print_table(const char* title, const Json& rows, const std::vector<std::pair<std::string, const char*>>& columns) {
  if (rows.empty()) return;
  std::vector<std::string> header;
  for (const auto& [heading, member] : columns) header.push_back(heading);
  Table table(header);
  for (const Json& row : rows) {
    std::vector<std::string> cells;
    for (const auto& [heading, member] : columns) cells.push_back(text(row, member));
    table.add(std::move(cells));
  }
  fmt::print("\n{}\n{}", title, table.str());
}

}  // namespace

Result<int> status(const CommonOptions& options) {
  auto status = daemon_status(options.state_directory);
  if (!status) return fail(status.error());
  if (options.json) {
    fmt::print("{}\n", status->dump(2));
    return 0;
  }
  fmt::print("Berth {} at {}, up since {}, {} restarts\n", text(*status, "version"), text(*status, "endpoint"),
             text(*status, "started_at"), text(*status, "restarts"));
  fmt::print("account {}, region {}, containers by {}, share {}\n", text(*status, "account"), text(*status, "region"),
             text(*status, "oci_runtime"), text(*status, "share"));
  print_table("Zones", status->at("zones"),
              {{"ZONE", "name"}, {"STATE", "state"}, {"DEFAULT SUBNET", "default_subnet"}, {"LATENCY MS", "latency_ms"}});
  print_table("Clusters", status->at("clusters"),
              {{"NAME", "name"}, {"INSTANCES", "container_instances"}, {"RUNNING", "running"}, {"PENDING", "pending"}});
  print_table("Container instances", status->at("container_instances"),
              {{"INSTANCE", "ec2_instance"},
               {"TYPE", "type"},
               {"ZONE", "zone"},
               {"CLUSTER", "cluster"},
               {"STATUS", "status"},
               {"CPU FREE", "cpu_free"},
               {"MEMORY FREE", "memory_free"},
               {"TASKS", "tasks"}});
  print_table("Instances without an agent", status->at("instances_without_agent"),
              {{"INSTANCE", "id"}, {"TYPE", "type"}, {"ZONE", "zone"}, {"STATE", "state"}, {"WHY", "why"}});
  print_table("Tasks", status->at("tasks"),
              {{"TASK", "id"},
               {"FAMILY", "definition"},
               {"STATUS", "status"},
               {"ON", "capacity"},
               {"ZONE", "zone"},
               {"ADDRESS", "address"},
               {"STOPPED BECAUSE", "stopped_reason"}});
  print_table("File systems", status->at("file_systems"),
              {{"FILE SYSTEM", "id"},
               {"STATE", "state"},
               {"MOUNT TARGETS", "mount_targets"},
               {"ACCESS POINTS", "access_points"},
               {"DIRECTORY", "directory"}});
  print_table("Volumes of Docker and Podman", status->value("volumes", Json::array()),
              {{"VOLUME", "name"},
               {"FILE SYSTEM", "file_system"},
               {"ACCESS POINT", "access_point"},
               {"ROLE", "role"},
               {"ZONE", "zone"},
               {"MAY", "rights"},
               {"MOUNTS", "mounts"}});
  print_table("Mounts", status->at("mounts"),
              {{"TASK/VOLUME", "id"},
               {"FILE SYSTEM", "file_system"},
               {"ZONE", "zone"},
               {"OPERATIONS", "operations"},
               {"WAITING", "waiting"},
               {"INODES", "known_inodes"}});
  return 0;
}

Result<int> zone(const ZoneOptions& options) {
  std::string target = "/zones/" + options.action;
  if (options.action == "latency") {
    target += "?a=" + percent_encode(options.zone) + "&b=" + percent_encode(options.other) +
              "&ms=" + percent_encode(options.milliseconds);
  } else {
    target += "?zone=" + percent_encode(options.zone);
    // NFS over TCP waits one timeo longer after each retransmission, and gives up when the last has gone unanswered.
    if (options.soft) target += fmt::format("&clients=soft&patience={}", 100U * options.timeo * (options.retrans + 1));
    if (options.read_only) target += "&clients=read-only";
  }
  const auto answer = admin(options.state_directory, "POST", target);
  if (!answer) return fail(answer.error());
  if (options.json) {
    fmt::print("{}\n", Json{{"done", answer->body.substr(0, answer->body.find('\n'))}}.dump());
  } else {
    fmt::print("{}", answer->body);
  }
  return 0;
}

Result<int> stop(const StopOptions& options) {
  auto status = daemon_status(options.state_directory);
  if (!status) return fail(status.error());
  auto task = find_task(*status, options.task);
  if (!task) return fail(task.error());
  Json input{{"cluster", task->value("cluster", "")}, {"task", task->value("arn", "")}};
  if (!options.reason.empty()) input["reason"] = options.reason;
  auto answer = ecs(options.state_directory, status->value("endpoint", ""), "StopTask", input);
  if (!answer) return fail(answer.error());
  if (options.json) {
    fmt::print("{}\n", answer->dump(2));
  } else {
    fmt::print("stopping {}\n", task->value("id", ""));
  }
  return 0;
}

}  // namespace berth::cli

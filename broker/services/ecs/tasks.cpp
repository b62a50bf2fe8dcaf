#include <nlohmann/json.hpp>

#include "broker/control/control_plane.hpp"
#include "broker/services/ecs/client_tokens.hpp"
#include "broker/services/ecs/clusters.hpp"
#include "broker/services/ecs/definition.hpp"
#include "broker/services/ecs/errors.hpp"
#include "broker/services/ecs/launch_plan.hpp"
#include "broker/services/ecs/operations.hpp"
#include "broker/services/ecs/page.hpp"
#include "broker/services/ecs/tag_list.hpp"
#include "broker/services/ecs/task_json.hpp"

namespace berth::services::ecs {

using cluster_sim::ClusterName;
using cluster_sim::ContainerInstanceId;
using cluster_sim::Task;
using cluster_sim::TaskId;
using control::Control;

namespace {

constexpr std::size_t kTasksDescribedMax = 100;
constexpr std::size_t kReasonMax = 255;

struct Started {
  TaskSnapshot tasks;
  std::vector<cluster_sim::Failure> failures;
};

Outcome<Started> decide(Control& c, const Parts& parts, const Json& input, const cluster_sim::RunTask& request) {
  auto known = find_client_token(c, request.cluster, input, parts.options.client_token_retention);
  if (!known) return refused(known);
  Started started;
  auto ids = known->value_or(std::vector<TaskId>());
  if (!known->has_value()) {
    auto result = c.cluster.run_task(c.now, c.random, request);
    if (!result) {
      if (result.error().code == Code::not_found) return api::refuse("ClusterNotFoundException", result.error().message);
      return refused(result.error());
    }
    ids = std::move(result->tasks);
    started.failures = std::move(result->failures);
    // A call that started nothing may be tried again with its token.
    if (!ids.empty()) keep_client_token(c, request.cluster, input, ids);
  }
  for (const auto& id : ids) {
    const auto task = c.cluster.tasks().find(id);
    if (task != c.cluster.tasks().end()) started.tasks.add(c, task->second);
  }
  return started;
}

Outcome<Json> start(const Parts& parts, const Json& input, const Outcome<cluster_sim::RunTask>& plan) {
  if (!plan) return refused(plan);
  const auto started = parts.plane.with([&](Control& c) { return decide(c, parts, input, *plan); });
  if (!started) return refused(started);
  return Json{{"tasks", describe_tasks(home_of(parts), started->tasks, true)},
              {"failures", describe_failures(started->failures)}};
}

// What ListTasks asks for; empty members ask for nothing.
struct Filter {
  ClusterName cluster;
  std::string family, started_by, launch_type;
  std::optional<ContainerInstanceId> instance;
  bool stopped = false, none = false;
};

bool matches(const Filter& filter, const Task& task) {
  const auto family = [&] {
    const auto& arn = task.task_definition_arn;
    const auto slash = arn.rfind('/');
    return arn.substr(slash + 1, arn.rfind(':') - slash - 1);
  };
  return !filter.none && task.cluster == filter.cluster && task.stop_wanted == filter.stopped &&
         (filter.family.empty() || family() == filter.family) &&
         (filter.started_by.empty() || task.started_by == filter.started_by) &&
         (!filter.instance || task.container_instance == filter.instance) &&
         (filter.launch_type.empty() ||
          filter.launch_type == (task.launch_type == cluster_sim::LaunchType::fargate ? "FARGATE" : "EC2"));
}

Outcome<Filter> read_filter(const Home& home, const Json& input) {
  auto cluster = cluster_of(home, input);
  if (!cluster) return refused(cluster);
  Filter filter{.cluster = *cluster,
                .family = text_of(input, "family"),
                .started_by = text_of(input, "startedBy"),
                .launch_type = text_of(input, "launchType"),
                .instance = {}};
  if (input.contains("serviceName")) return api::refuse("ServiceNotFoundException", "Service not found.");
  if (input.contains("daemonName")) return invalid("daemonName: Berth has no daemons.");
  if (const auto text = text_of(input, "containerInstance"); !text.empty()) {
    auto id = read_container_instance(home, *cluster, text);
    if (!id) return refused(id);
    filter.instance = std::move(*id);
  }
  const auto status = input.value("desiredStatus", "RUNNING");
  filter.stopped = status == "STOPPED";
  filter.none = status == "PENDING";  // no task is ever wished to be that
  return filter;
}

}  // namespace

Outcome<Json> run_task(const Parts& parts, const CallContext& context, const Json& input) {
  return start(parts, input, plan_run_task(parts, context, input));
}

Outcome<Json> start_task(const Parts& parts, const CallContext& context, const Json& input) {
  return start(parts, input, plan_start_task(parts, context, input));
}

Outcome<Json> stop_task(const Parts& parts, const CallContext&, const Json& input) {
  const auto home = home_of(parts);
  const auto cluster = cluster_of(home, input);
  if (!cluster) return refused(cluster);
  const auto id = read_task(home, *cluster, text_of(input, "task"));
  if (!id) return refused(id);
  const auto reason = input.value("reason", "Task stopped by user");
  if (reason.size() > kReasonMax) return invalid("reason longer than {}.", kReasonMax);
  const auto stopped = parts.plane.with([&](Control& c) -> Outcome<TaskSnapshot> {
    if (auto found = need_cluster(c, *cluster); !found) return refused(found);
    const auto task = c.cluster.tasks().find(*id);
    if (task == c.cluster.tasks().end() || task->second.cluster != *cluster) return invalid("The referenced task was not found.");
    if (auto done = c.cluster.stop_task(c.now, *id, "UserInitiated", reason); !done) return refused(done.error());
    TaskSnapshot snapshot;
    snapshot.add(c, c.cluster.tasks().at(*id));
    return snapshot;
  });
  if (!stopped) return refused(stopped);
  return Json{{"task", describe_tasks(home, *stopped, true).front()}};
}

Outcome<Json> describe_tasks(const Parts& parts, const CallContext&, const Json& input) {
  const auto home = home_of(parts);
  const auto cluster = cluster_of(home, input);
  if (!cluster) return refused(cluster);
  const auto& texts = input.at("tasks");
  if (texts.empty()) return invalid("Tasks cannot be empty.");
  if (texts.size() > kTasksDescribedMax) return invalid("At most {} tasks can be described at once.", kTasksDescribedMax);
  std::vector<TaskId> ids;
  for (const auto& text : texts) {
    auto id = read_task(home, *cluster, text.get<std::string>());
    if (!id) return refused(id);
    ids.push_back(std::move(*id));
  }
  std::vector<cluster_sim::Failure> failures;
  const auto snapshot = parts.plane.read([&](const Control& c) -> Outcome<TaskSnapshot> {
    if (auto found = need_cluster(c, *cluster); !found) return refused(found);
    TaskSnapshot taken;
    for (const auto& id : ids) {
      const auto task = c.cluster.tasks().find(id);
      if (task != c.cluster.tasks().end() && task->second.cluster == *cluster)
        taken.add(c, task->second);
      else
        failures.push_back({home.task_arn(cluster->str(), id.str()), "MISSING", ""});
    }
    return taken;
  });
  if (!snapshot) return refused(snapshot);
  return Json{{"tasks", describe_tasks(home, *snapshot, includes(input, "TAGS"))}, {"failures", describe_failures(failures)}};
}

Outcome<Json> list_tasks(const Parts& parts, const CallContext&, const Json& input) {
  const auto filter = read_filter(home_of(parts), input);
  if (!filter) return refused(filter);
  const auto arns = parts.plane.read([&](const Control& c) -> Outcome<std::vector<std::string>> {
    if (auto found = need_cluster(c, filter->cluster); !found) return refused(found);
    std::vector<std::string> matching;
    for (const auto& [id, task] : c.cluster.tasks())
      if (matches(*filter, task)) matching.push_back(task.arn);
    return matching;
  });
  if (!arns) return refused(arns);
  return write_page(*arns, input, "taskArns");
}

}  // namespace berth::services::ecs

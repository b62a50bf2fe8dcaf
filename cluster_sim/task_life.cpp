#include "cluster_sim/task_life.hpp"

#include <algorithm>
#include <array>

#include "cluster_sim/interfaces.hpp"

namespace berth::cluster_sim {
namespace {

TaskStatus next_status(TaskStatus at, TaskStatus target) {
  if (at < TaskStatus::running && target > TaskStatus::running) return TaskStatus::stopping;
  return static_cast<TaskStatus>(static_cast<int>(at) + 1);
}

void give_back(State& state, Task& task) {
  if (task.interface) free_interface(state, *task.interface);
  if (!task.container_instance) return;
  auto placed = state.tasks_on.find(*task.container_instance);
  if (placed == state.tasks_on.end()) return;
  placed->second.erase(task.id);
  if (placed->second.empty()) state.tasks_on.erase(placed);
}

// Reports bring the time at which something happened, and a short program may have ended before its start was noted: what comes
// later in a task's life has no earlier stamp.
TimePoint not_before_the_last(TimePoint now, const Task& task) {
  for (const auto& stamp :
       {task.connectivity_at, task.pull_started, task.pull_stopped, task.started, task.stopping, task.execution_stopped})
    now = std::max(now, stamp.value_or(now));
  return now;
}

void enter(State& state, TimePoint reported, Task& task, TaskStatus status) {
  const TimePoint now = not_before_the_last(reported, task);
  task.last = status;
  ++task.version;
  switch (status) {
    case TaskStatus::pending:
      task.connectivity = "CONNECTED";
      task.connectivity_at = now;
      break;
    case TaskStatus::running: task.started = now; break;
    case TaskStatus::stopping: task.stopping = now; break;
    case TaskStatus::deprovisioning: task.execution_stopped = now; break;
    case TaskStatus::stopped:
      task.stopped = now;
      for (auto& container : task.containers) container.last_status = "STOPPED";
      give_back(state, task);
      break;
    default: break;
  }
}

ContainerState* find_container(Task& task, const std::string& name) {
  auto found = std::ranges::find(task.containers, name, &ContainerState::name);
  return found == task.containers.end() ? nullptr : &*found;
}

// Essential containers alone count; those that never reported have no check.
std::string task_health(const Task& task) {
  bool healthy = false;
  for (const auto& container : task.containers) {
    if (!container.essential) continue;
    if (container.health == "UNHEALTHY") return "UNHEALTHY";
    healthy = healthy || container.health == "HEALTHY";
  }
  return healthy ? "HEALTHY" : "UNKNOWN";
}

struct Apply {
  State& state;
  TimePoint now;
  Task& task;

  // What the agent reports before the task runs says nothing of a task that is stopping already.
  void rise(TaskStatus status) const {
    if (!task.stop_wanted) advance(state, now, task, status);
  }

  void operator()(const PullStarted&) const {
    rise(TaskStatus::pending);
    task.pull_started = now;
  }
  void operator()(const PullStopped&) const {
    rise(TaskStatus::activating);
    task.pull_stopped = now;
  }
  void operator()(const ContainerStarted& event) const {
    rise(TaskStatus::activating);
    ContainerState* container = find_container(task, event.container);
    if (!container || container->last_status == "STOPPED") return;
    container->last_status = "RUNNING";
    container->runtime_id = event.runtime_id;
  }
  void operator()(const TaskRunning&) const { rise(TaskStatus::running); }
  void operator()(const ContainerExited& event) const {
    ContainerState* container = find_container(task, event.container);
    if (!container) return;
    container->last_status = "STOPPED";
    container->exit_code = event.exit_code;
    container->reason = event.reason;
    const bool all_ended = std::ranges::all_of(task.containers, [](const auto& c) { return c.last_status == "STOPPED"; });
    if (container->essential || all_ended)
      want_stop(state, now, task, "EssentialContainerExited", "Essential container in task exited");
    if (all_ended) advance(state, now, task, TaskStatus::deprovisioning);
  }
  void operator()(const TaskFailedToStart& event) const {
    if (!task.stop_wanted) {
      task.stop_wanted = true;
      // One that ran and is lost with what carried it: ECS's code for a host that went away.
      task.stop_code = task.last < TaskStatus::running ? "TaskFailedToStart" : "TerminationNotice";
      task.stopped_reason = event.reason;
    }
    if (ContainerState* container = find_container(task, event.container)) container->reason = event.reason;
    advance(state, now, task, TaskStatus::stopped);
  }
  void operator()(const TaskGone&) const {
    // Nobody asked for the stop and no exit was reported: all that is left is that its containers are gone.
    if (!task.stop_wanted) {
      task.stop_wanted = true;
      task.stop_code = "EssentialContainerExited";
      task.stopped_reason = "Essential container in task exited";
    }
    advance(state, now, task, TaskStatus::stopped);
  }
  void operator()(const HealthChanged& event) const {
    ContainerState* container = find_container(task, event.container);
    if (!container) return;
    container->health = event.status;
    task.health = task_health(task);
  }
};

}  // namespace

std::string_view to_string(TaskStatus status) {
  static constexpr std::array<std::string_view, 8> kNames{"PROVISIONING", "PENDING",  "ACTIVATING",     "RUNNING",
                                                          "DEACTIVATING", "STOPPING", "DEPROVISIONING", "STOPPED"};
  return kNames[static_cast<std::size_t>(status)];
}

void advance(State& state, TimePoint now, Task& task, TaskStatus status) {
  while (task.last < status) enter(state, now, task, next_status(task.last, status));
  state.changed(task.id);
}

void want_stop(State& state, TimePoint now, Task& task, std::string stop_code, std::string reason) {
  if (task.stop_wanted) return;
  task.stop_wanted = true;
  task.stop_code = std::move(stop_code);
  task.stopped_reason = std::move(reason);
  // No load balancer to leave yet, so nothing holds a task in DEACTIVATING.
  advance(state, now, task, TaskStatus::stopping);
  state.effects.emplace_back(StopTask{task.id});
}

void apply(State& state, TimePoint now, Task& task, const TaskEvent& event) {
  if (task.last == TaskStatus::stopped) return;  // a report that was late
  std::visit(Apply{state, now, task}, event);
  ++task.version;
  state.changed(task.id);
}

Result<> Cluster::stop_task(TimePoint now, const TaskId& id, std::string stop_code, std::string reason) {
  auto found = state_->tasks.find(id);
  if (found == state_->tasks.end()) return fail(Code::not_found, "The referenced task was not found.");
  want_stop(*state_, now, found->second, std::move(stop_code), std::move(reason));
  return {};
}

void Cluster::task_event(TimePoint now, const TaskId& id, const TaskEvent& event) {
  auto found = state_->tasks.find(id);
  if (found != state_->tasks.end()) apply(*state_, now, found->second, event);
}

}  // namespace berth::cluster_sim

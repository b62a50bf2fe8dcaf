#include "broker/daemon/task_life.hpp"

#include <thread>

#include "broker/base/log.hpp"

namespace berth::daemon {

namespace {

template <class... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};

// The runtime's words as the cluster's; the same ideas on both sides of the wall between core and shell.
cluster_sim::TaskEvent event_of(const runtime::Event& event) {
  using Event = cluster_sim::TaskEvent;
  return std::visit(
      Overloaded{
          [](const runtime::PullStarted&) -> Event { return cluster_sim::PullStarted{}; },
          [](const runtime::PullStopped&) -> Event { return cluster_sim::PullStopped{}; },
          [](const runtime::ContainerStarted& e) -> Event { return cluster_sim::ContainerStarted{e.container, e.runtime_id}; },
          [](const runtime::ContainerExited& e) -> Event {
            return cluster_sim::ContainerExited{e.container, e.exit_code, e.reason};
          },
          [](const runtime::TaskRunning&) -> Event { return cluster_sim::TaskRunning{}; },
          [](const runtime::TaskFailedToStart& e) -> Event { return cluster_sim::TaskFailedToStart{e.reason, e.container}; },
          // A reason means that no container's end explains it: told as it is, not as an exit that nobody saw.
          [](const runtime::TaskStopped& e) -> Event {
            if (e.reason.empty()) return cluster_sim::TaskGone{};
            return cluster_sim::TaskFailedToStart{e.reason, ""};
          },
          [](const runtime::HealthChanged& e) -> Event { return cluster_sim::HealthChanged{e.container, e.status}; },
      },
      event);
}

TimePoint time_of(const runtime::Event& event) {
  return std::visit([](const auto& e) { return e.at; }, event);
}

bool ends_the_task(const runtime::Event& event) {
  return std::holds_alternative<runtime::TaskStopped>(event) || std::holds_alternative<runtime::TaskFailedToStart>(event);
}

}  // namespace

void TaskLife::on_effect(const cluster_sim::Effect& effect) {
  std::visit(Overloaded{[&](const cluster_sim::LaunchTask& e) { launch(e.task); },
                        [&](const cluster_sim::StopTask& e) { runtime_->stop(runtime::TaskId{e.task.str()}); },
                        [&](const cluster_sim::BootInstance& e) { parts_.boot_instance(e.instance); },
                        [&](const cluster_sim::TerminateInstance& e) { parts_.terminate_instance(e.instance); }},
             effect);
}

void TaskLife::launch(const cluster_sim::TaskId& task) {
  auto prepared = parts_.launcher.prepare(task);
  if (prepared && prepared->interface) {
    const auto& interface = *prepared->interface;
    if (auto known = runtime_->add_subnet(interface.gateway, interface.prefix_length); !known) prepared = fail(known.error());
  }
  if (prepared) {
    runtime_->launch(std::move(*prepared));
    return;
  }
  log::info("task failed to start", {{"task", task.str()}, {"reason", prepared.error().message}});
  parts_.plane.apply([&](control::Control& c) {
    c.cluster.task_event(c.now, task, cluster_sim::TaskFailedToStart{prepared.error().message, ""});
  });
  parts_.launcher.forget(task);
  parts_.task_gone(task.str());
}

void TaskLife::on_report(const runtime::Report& report) {
  const cluster_sim::TaskId task{report.task.str()};
  const cluster_sim::TaskEvent event = event_of(report.event);
  parts_.plane.apply([&](control::Control& c) { c.cluster.task_event(time_of(report.event), task, event); });
  // A policy that changed between the decision to mount and the mount itself found no mount to change.
  if (std::holds_alternative<runtime::ContainerStarted>(report.event)) refresh_rights(task);
  if (!ends_the_task(report.event)) return;
  parts_.launcher.forget(task);
  parts_.task_gone(task.str());
}

void TaskLife::resume(const std::function<bool(const std::string& task)>& begun) {
  std::vector<runtime::TaskId> expected;
  std::vector<cluster_sim::Effect> effects;
  parts_.plane.read([&](const control::Control& c) {
    for (const auto& [id, task] : c.cluster.tasks()) {
      if (task.last == cluster_sim::TaskStatus::stopped) continue;
      if (task.last <= cluster_sim::TaskStatus::pending && !begun(id.str())) {
        effects.emplace_back(cluster_sim::LaunchTask{id});
      } else {
        expected.emplace_back(id.str());
      }
      if (task.stop_wanted) effects.emplace_back(cluster_sim::StopTask{id});
    }
    for (const auto& [id, instance] : c.cluster.instances()) {
      if (instance.state == "pending") effects.emplace_back(cluster_sim::BootInstance{id});
      if (instance.state == "shutting-down") effects.emplace_back(cluster_sim::TerminateInstance{id});
    }
  });
  runtime_->adopt(expected);
  for (const cluster_sim::Effect& effect : effects) on_effect(effect);
}

void TaskLife::refresh_rights() {
  std::vector<cluster_sim::TaskId> live;
  parts_.plane.read([&](const control::Control& c) {
    for (const auto& [id, task] : c.cluster.tasks()) {
      if (task.last < cluster_sim::TaskStatus::deprovisioning) live.push_back(id);
    }
  });
  for (const cluster_sim::TaskId& task : live) refresh_rights(task);
}

void TaskLife::refresh_rights(const cluster_sim::TaskId& task) {
  const std::scoped_lock lock(refreshing_);
  for (const auto& [mount, grant] : parts_.launcher.grants_for(task)) {
    if (!grant.mount) log::warning("mount revoked", {{"mount", mount.str()}, {"why", grant.denial}});
    const fuse::Rights rights = grant.mount ? grant.rights : fuse::Rights{.mount = false};
    if (auto changed = parts_.share.set_rights(mount, rights); !changed && changed.error().code != Code::not_found) {
      log::warning("rights of a mount could not be changed", {{"mount", mount.str()}, {"error", changed.error().message}});
    }
  }
}

void TaskLife::stop_all(std::chrono::seconds patience) {
  const auto live = [&] {
    return parts_.plane.read([](const control::Control& c) {
      std::vector<cluster_sim::TaskId> tasks;
      for (const auto& [id, task] : c.cluster.tasks()) {
        if (task.last != cluster_sim::TaskStatus::stopped) tasks.push_back(id);
      }
      return tasks;
    });
  };
  for (const cluster_sim::TaskId& task : live()) {
    // Best effort: a task that ends by itself just now is what is wanted.
    [[maybe_unused]] auto stopped = parts_.plane.with(
        [&](control::Control& c) { return c.cluster.stop_task(c.now, task, "TerminationNotice", "Berth was shut down"); });
  }
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!live().empty() && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds{50});
}

}  // namespace berth::daemon

// Task, continued: what happens to a task whose daemon has died.
#include <sys/syscall.h>
#include <unistd.h>

#include "broker/base/log.hpp"
#include "broker/runtime/bundle.hpp"
#include "broker/runtime/files.hpp"
#include "broker/runtime/process.hpp"
#include "broker/runtime/task.hpp"

namespace berth::runtime {

void Task::adopt(bool known) {
  post([known](Task& task) { task.resume(known); });
}

void Task::resume(bool known) {
  silent_ = !known;
  adopted_ = true;
  // Without a record the keeper has died too, and with it every mount and socket of the task.
  const bool lost = !has_task_record(machine_.survival, launch_.id);
  if (auto opened = open_record(); !opened) {
    log::error("a task can't be adopted", {{"task", launch_.id.str()}, {"why", opened.error().message}});
    gone_();
    return;
  }
  machine_.network.restore(launch_);
  if (lost) lost_reason_ = "Berth was stopped while the task was running";
  if (lost || !known) record_->stopping = 1;
  if (!lost && record_->prepared == 0)
    set_text(record_->failure, "ResourceInitializationError: Berth was restarted while the task was starting");
  if (lost || record_->prepared == 0) {
    record_->stopping = 1;
    for (const Member& member : members_) machine_.oci.remove(runtime_id(launch_.id, member.definition.name));
    machine_.cgroups.end(launch_.id);
  } else {
    report_again();
    for (Member& member : members_) resume_container(member);
  }
  log::info("task adopted", {{"task", launch_.id.str()}, {"lost", lost}, {"expected", known}});
  advance();
}

void Task::report_again() {
  if (record_->pull_started_at != 0) report(PullStarted{from_record_time(record_->pull_started_at)});
  if (record_->pull_stopped_at != 0) report(PullStopped{from_record_time(record_->pull_stopped_at)});
  if (is_alive(record_->metadata)) machine_.handlers.listener_opened(TaskListener{launch_.id, "metadata", record_->metadata.fd});
  if (is_alive(record_->front_door))
    machine_.handlers.listener_opened(TaskListener{launch_.id, "front-door", record_->front_door.fd});
  for (const Member& member : members_) {
    const ContainerRecord& record = *member.record;
    const std::string& name = member.definition.name;
    if (record.started_at != 0)
      report(ContainerStarted{from_record_time(record.started_at), name, runtime_id(launch_.id, name), record.pid});
  }
  if (record_->running != 0) report(TaskRunning{from_record_time(record_->running_at)});
  for (const Member& member : members_) {
    const ContainerRecord& record = *member.record;
    if (record.state != ContainerState::exited) continue;
    const bool memory = record.out_of_memory > 0 && record.exit_code != 0;
    report(ContainerExited{from_record_time(record.exited_at), member.definition.name, record.exit_code,
                           memory ? "OutOfMemoryError: Container killed due to memory usage" : ""});
  }
}

void Task::resume_container(Member& member) {
  ContainerRecord& record = *member.record;
  const std::string id = runtime_id(launch_.id, member.definition.name);
  switch (record.state) {
    case ContainerState::exited: return;
    case ContainerState::pending:
      // The daemon may have died between making it and writing that down: it has not been started, so it goes and is made again.
      machine_.oci.remove(id);
      remove_bundle(machine_, launch_.id, member.definition.name);
      (void)remove_tree(machine_.paths.bundle(launch_.id, member.definition.name));
      close_descriptor(machine_.survival, record.standard_output);
      close_descriptor(machine_.survival, record.standard_error);
      return;
    case ContainerState::created:
    case ContainerState::started: break;
  }
  if (auto pumped = pump_output(member); !pumped)
    log::error("a container's output is lost", {{"task", launch_.id.str()}, {"why", pumped.error().message}});
  if (record.state == ContainerState::created) {
    if (auto begun = begin_container(member); !begun) fail_to_start(member, begun.error());
    return;
  }
  watch(member);
  if (member.definition.health_check) schedule_check(static_cast<std::size_t>(&member - members_.data()));
}

}  // namespace berth::runtime

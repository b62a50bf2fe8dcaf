#include "broker/runtime/task.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "broker/base/log.hpp"
#include "broker/runtime/bundle.hpp"
#include "broker/runtime/files.hpp"
#include "broker/runtime/launch_json.hpp"
#include "broker/runtime/process.hpp"

namespace berth::runtime {

Task::Task(const Machine& machine, TaskLaunch launch, std::function<void()> gone)
    : machine_(machine), launch_(std::move(launch)), gone_(std::move(gone)), strand_(std::make_shared<Strand>(machine.pool)) {
  for (const Container& container : launch_.containers) members_.emplace_back().definition = container;
}

void Task::start() {
  post([](Task& task) { task.launch(); });
}

void Task::stop() {
  stop_requested_ = true;
  post([](Task& task) {
    if (task.record_ != nullptr) task.record_->stopping = 1;
    task.advance();
  });
}

// --- start -----------------------------------------------------------------------------------------------------------------

Result<> Task::open_record() {
  auto record = task_record(machine_.survival, launch_.id);
  if (!record) return berth::fail(record.error());
  record_ = *record;
  for (std::size_t i = 0; i < members_.size(); ++i) members_[i].record = &record_->containers[i];
  return {};
}

void Task::launch() {
  if (auto opened = open_record(); !opened) {
    report(TaskFailedToStart{machine_.clock.now(), "ResourceInitializationError: " + opened.error().message, ""});
    gone_();
    return;
  }
  const TimePoint begun = machine_.clock.now();
  record_->pull_started_at = to_record_time(begun);
  report(PullStarted{begun});
  if (!stop_requested_)
    if (auto prepared = prepare(); !prepared) fail(prepared.error(), "");
  const TimePoint ready = machine_.clock.now();
  record_->pull_stopped_at = to_record_time(ready);
  record_->prepared = 1;
  report(PullStopped{ready});
  advance();
}

Result<> Task::prepare() {
  if (auto made = make_directories(machine_.paths.task(launch_.id), 0700); !made) return made;
  if (auto made = make_directories(machine_.paths.logs(launch_.id), 0750); !made) return made;
  // Written first: whatever is made from here on can be found and taken away by the next daemon.
  if (auto written = replace_file(machine_.paths.launch_record(launch_.id), write_launch(launch_)); !written) return written;
  if (auto made = machine_.cgroups.create(launch_.id, launch_.cpu, launch_.memory_mib); !made)
    return berth::fail(made.error().within("ResourceInitializationError"));
  auto network = machine_.network.create(launch_);
  if (!network) return berth::fail(network.error().within("ResourceInitializationError: network"));
  if (launch_.network == NetworkMode::bridge)  // the address is known now
    if (auto written = replace_file(machine_.paths.launch_record(launch_.id), write_launch(launch_)); !written) return written;
  keep_descriptor(machine_.survival, record_->metadata, network->metadata.release());
  keep_descriptor(machine_.survival, record_->front_door, network->front_door.release());
  if (auto made = machine_.volumes.prepare(launch_); !made) return made;
  machine_.handlers.listener_opened(TaskListener{launch_.id, "metadata", record_->metadata.fd});
  machine_.handlers.listener_opened(TaskListener{launch_.id, "front-door", record_->front_door.fd});
  return {};
}

// --- the containers --------------------------------------------------------------------------------------------------------

void Task::advance() {
  if (finished_ || record_ == nullptr) return;
  if (stop_requested_) record_->stopping = 1;
  if (record_->stopping == 0) start_due();
  if (record_->stopping == 0 && record_->running == 0 && std::all_of(members_.begin(), members_.end(), [](const Member& m) {
        return m.abandoned || m.record->state >= ContainerState::started;
      })) {
    const TimePoint now = machine_.clock.now();
    record_->running_at = to_record_time(now);
    record_->running = 1;
    report(TaskRunning{now});
  }
  const bool pending = std::any_of(members_.begin(), members_.end(),
                                   [](const Member& m) { return !m.abandoned && m.record->state == ContainerState::pending; });
  if (!any_alive() && !pending) record_->stopping = 1;  // all have ended, essential or not
  if (!any_alive() && pending && record_->stopping == 0)
    fail(Error{Code::invalid_argument, "the dependencies of the task's containers form a circle", 0}, "");
  if (record_->stopping == 0) return;
  stop_due();
  if (!any_alive()) finish();
}

void Task::start_due() {
  // A container that starts may make others ready (START), so the list is gone through until nothing changes.
  for (bool changed = true; changed;) {
    changed = false;
    for (Member& member : members_) {
      if (member.abandoned || member.record->state != ContainerState::pending) continue;
      std::string why;
      const Readiness readiness = this->readiness(member, why);
      if (readiness == Readiness::impossible) fail(Error{Code::failed_precondition, why, 0}, member.definition.name);
      if (readiness == Readiness::ready) {
        start_container(member);
        changed = true;
      }
      if (record_->stopping != 0 || stop_requested_) return;
    }
  }
}

Task::Readiness Task::readiness(const Member& member, std::string& why) const {
  for (const auto& [name, condition] : member.definition.depends_on) {
    const Member* other = find(name);
    if (other == nullptr) {
      why = "container `" + member.definition.name + "` depends on `" + name + "`, which the task doesn't have";
      return Readiness::impossible;
    }
    const ContainerRecord& record = *other->record;
    const bool ended = record.state == ContainerState::exited || other->abandoned;
    const auto never = [&](const char* what) {
      why = "container `" + member.definition.name + "` waits for `" + name + "` to " + what + ", which can't happen any more";
      return Readiness::impossible;
    };
    if (condition == "START" && record.state < ContainerState::started)
      return other->abandoned ? never("start") : Readiness::waiting;
    if (condition == "COMPLETE" && !ended) return Readiness::waiting;
    if (condition == "SUCCESS") {
      if (!ended) return Readiness::waiting;
      if (record.exit_code != 0 || other->abandoned) return never("succeed");
    }
    if (condition == "HEALTHY" && other->health != "HEALTHY") {
      if (ended || other->health == "UNHEALTHY" || !other->definition.health_check) return never("be healthy");
      return Readiness::waiting;
    }
  }
  return Readiness::ready;
}

void Task::start_container(Member& member) {
  const TimePoint begun = machine_.clock.now();
  auto created = create_container(member);
  if (!created) return fail_to_start(member, created.error());
  auto begun_container = begin_container(member);
  if (!begun_container) return fail_to_start(member, begun_container.error());
  log::info("container started",
            {{"task", launch_.id.str()},
             {"container", member.definition.name},
             {"pid", member.record->pid},
             {"took_ms", std::chrono::duration_cast<std::chrono::milliseconds>(machine_.clock.now() - begun).count()}});
}

Result<> Task::create_container(Member& member) {
  const std::string& name = member.definition.name;
  if (auto made = make_bundle(machine_, launch_, member.definition); !made) return made;
  // The read ends are kept, so that a container never sees a broken pipe, and are written down before anything writes to them.
  int output[2], error[2];
  if (::pipe2(output, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  UniqueFd output_writer(output[1]);
  keep_descriptor(machine_.survival, member.record->standard_output, output[0]);
  if (::pipe2(error, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  UniqueFd error_writer(error[1]);
  keep_descriptor(machine_.survival, member.record->standard_error, error[0]);
  for (const int reader : {output[0], error[0]}) ::fcntl(reader, F_SETFL, O_NONBLOCK);
  if (auto pumped = pump_output(member); !pumped) return pumped;
  const auto create = [&] {
    return machine_.oci.create(runtime_id(launch_.id, name), machine_.paths.bundle(launch_.id, name), output_writer.get(),
                               error_writer.get());
  };
  auto pid = create();
  if (!pid && adopted_) {
    // The OCI runtime that the dead daemon had started may have been at work until now: its container has the name.
    machine_.oci.remove(runtime_id(launch_.id, name));
    pid = create();
  }
  if (!pid) return berth::fail(pid.error().within("CannotStartContainerError"));
  member.record->pid = *pid;
  member.record->state = ContainerState::created;
  return {};
}

Result<> Task::pump_output(Member& member) {
  auto pending = container_output(machine_.survival, launch_.id, static_cast<std::size_t>(&member - members_.data()));
  if (!pending) return berth::fail(pending.error());
  const std::string path = machine_.paths.log(launch_.id, member.definition.name);
  const ContainerRecord& record = *member.record;
  if (is_alive(record.standard_output))
    if (auto added = machine_.logs.add(record.standard_output.fd, path, "stdout", (*pending)->streams[0]); !added) return added;
  if (is_alive(record.standard_error))
    if (auto added = machine_.logs.add(record.standard_error.fd, path, "stderr", (*pending)->streams[1]); !added) return added;
  return {};
}

Result<> Task::begin_container(Member& member) {
  const std::string id = runtime_id(launch_.id, member.definition.name);
  watch(member);
  auto begun = machine_.oci.start(id, machine_.paths.bundle(launch_.id, member.definition.name));
  if (!begun) {
    // After a restart of the daemon: the one before may have come as far as this.
    const std::string status = machine_.oci.status(id).value_or("");
    if (status != "running" && status != "stopped") return berth::fail(begun.error().within("CannotStartContainerError"));
  }
  started(member);
  return {};
}

void Task::started(Member& member) {
  const TimePoint now = machine_.clock.now();
  member.record->started_at = to_record_time(now);
  member.record->state = ContainerState::started;
  const std::string& name = member.definition.name;
  report(ContainerStarted{now, name, runtime_id(launch_.id, name), member.record->pid});
  const std::size_t index = static_cast<std::size_t>(&member - members_.data());
  if (member.definition.health_check) schedule_check(index);
  if (member.definition.start_timeout)
    post_after(*member.definition.start_timeout, [index](Task& task) {
      const Member& late = task.members_[index];
      std::string why;
      for (const Member& other : task.members_)
        for (const auto& [dependency, condition] : other.definition.depends_on)
          if (dependency == late.definition.name && other.record->state == ContainerState::pending &&
              task.record_->stopping == 0 && task.readiness(other, why) == Readiness::waiting)
            return task.fail(Error{Code::unavailable,
                                   "container `" + dependency + "` did not reach " + condition + " within its startTimeout", 0},
                             other.definition.name);
    });
}

void Task::fail_to_start(Member& member, const Error& error) {
  machine_.oci.remove(runtime_id(launch_.id, member.definition.name));
  machine_.logs.finish(member.record->standard_output.fd);
  machine_.logs.finish(member.record->standard_error.fd);
  close_descriptor(machine_.survival, member.record->standard_output);
  close_descriptor(machine_.survival, member.record->standard_error);
  remove_bundle(machine_, launch_.id, member.definition.name);
  member.abandoned = true;
  member.record->state = ContainerState::pending;
  if (member.definition.essential) return fail(error, member.definition.name);
  log::warning("container failed to start",
               {{"task", launch_.id.str()}, {"container", member.definition.name}, {"why", error.message}});
  report(ContainerExited{machine_.clock.now(), member.definition.name, 255, error.message});
}

void Task::watch(Member& member) {
  const std::size_t index = static_cast<std::size_t>(&member - members_.data());
  const pid_t pid = member.record->pid;
  // Signals go by descriptor, so that they can't meet another process with the same number. After a restart the number itself may
  // be another's already: then there is nothing to signal, and the exit is about to be reported.
  member.process = UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!machine_.cgroups.holds(launch_.id, member.definition.name, pid)) member.process.reset();
  machine_.exits.watch(pid, [weak = weak_from_this(), index, pid](int wait_status, TimePoint at) {
    if (const auto self = weak.lock())
      self->post([=](Task& task) {
        if (task.members_[index].record != nullptr && task.members_[index].record->pid == pid)
          task.exited(index, wait_status, at);
      });
  });
}

void Task::exited(std::size_t index, int wait_status, TimePoint at) {
  Member& member = members_[index];
  ContainerRecord& record = *member.record;
  if (record.state != ContainerState::started && record.state != ContainerState::created) return;
  record.out_of_memory = machine_.cgroups.memory_kills(launch_.id, member.definition.name);
  record.exit_code = exit_code_of(wait_status);
  machine_.oci.remove(runtime_id(launch_.id, member.definition.name));  // and what of it still runs
  machine_.logs.finish(record.standard_output.fd);
  machine_.logs.finish(record.standard_error.fd);
  close_descriptor(machine_.survival, record.standard_output);
  close_descriptor(machine_.survival, record.standard_error);
  remove_bundle(machine_, launch_.id, member.definition.name);
  member.process.reset();
  record.exited_at = to_record_time(at);
  record.state = ContainerState::exited;
  const bool memory = record.out_of_memory > 0 && record.exit_code != 0;
  log::info("container exited",
            {{"task", launch_.id.str()}, {"container", member.definition.name}, {"exit_code", record.exit_code}});
  report(ContainerExited{at, member.definition.name, record.exit_code,
                         memory ? "OutOfMemoryError: Container killed due to memory usage" : ""});
  if (member.definition.essential) record_->stopping = 1;
  advance();
}

// --- stop ------------------------------------------------------------------------------------------------------------------

void Task::fail(const Error& error, const std::string& container) {
  if (record_->running == 0 && record_->failure[0] == '\0') {
    set_text(record_->failed_container, container);
    set_text(record_->failure, error.message.empty() ? "ResourceInitializationError" : error.message);
  }
  record_->stopping = 1;
  log::warning("task failed to start", {{"task", launch_.id.str()}, {"container", container}, {"why", error.message}});
}

bool Task::alive(const Member& member) const {
  return member.record->state == ContainerState::created || member.record->state == ContainerState::started;
}

bool Task::any_alive() const {
  return std::any_of(members_.begin(), members_.end(), [this](const Member& member) { return alive(member); });
}

Task::Member* Task::find(const std::string& name) {
  const auto found = std::find_if(members_.begin(), members_.end(), [&](const Member& m) { return m.definition.name == name; });
  return found == members_.end() ? nullptr : &*found;
}
const Task::Member* Task::find(const std::string& name) const { return const_cast<Task*>(this)->find(name); }

// Dependents first, as they may need what they depend on until their end.
void Task::stop_due() {
  for (Member& member : members_) {
    if (!alive(member) || member.terminated) continue;
    const bool needed = std::any_of(members_.begin(), members_.end(), [&](const Member& other) {
      const auto& list = other.definition.depends_on;
      return alive(other) &&
             std::any_of(list.begin(), list.end(), [&](const auto& d) { return d.container == member.definition.name; });
    });
    if (!needed) terminate(member);
  }
}

void Task::terminate(Member& member) {
  member.terminated = true;
  ::syscall(SYS_pidfd_send_signal, member.process.get(), SIGTERM, nullptr, 0);
  const std::size_t index = static_cast<std::size_t>(&member - members_.data());
  post_after(member.definition.stop_timeout, [index](Task& task) { task.kill(task.members_[index]); });
}

void Task::kill(Member& member) {
  if (finished_ || !alive(member) || member.killed) return;
  member.killed = true;
  ::syscall(SYS_pidfd_send_signal, member.process.get(), SIGKILL, nullptr, 0);
}

void Task::finish() {
  finished_ = true;
  const std::string failure = record_->failure, container = record_->failed_container;
  const bool listening = record_->metadata.fd >= 0;
  if (listening && machine_.handlers.listeners_closing) machine_.handlers.listeners_closing(launch_.id);
  clean_up();
  record_ = nullptr;
  for (Member& member : members_) member.record = nullptr;
  const TimePoint now = machine_.clock.now();
  if (failure.empty()) {
    report(TaskStopped{now, lost_reason_});
  } else {
    report(TaskFailedToStart{now, failure, container});
  }
  log::info("task stopped", {{"task", launch_.id.str()}});
  gone_();
}

void Task::clean_up() {
  close_descriptor(machine_.survival, record_->metadata);
  close_descriptor(machine_.survival, record_->front_door);
  for (const Member& member : members_) remove_bundle(machine_, launch_.id, member.definition.name);
  machine_.volumes.remove(launch_);
  machine_.network.remove(launch_);
  machine_.cgroups.end(launch_.id);
  if (auto removed = remove_tree(machine_.paths.task(launch_.id)); !removed)
    log::warning("a task's directory stays behind", {{"task", launch_.id.str()}, {"why", removed.error().message}});
  remove_task_record(machine_.survival, launch_.id);
}

// --- small things ----------------------------------------------------------------------------------------------------------

void Task::report(Event event) {
  if (!silent_) machine_.handlers.report(Report{launch_.id, std::move(event)});
}

void Task::post(std::function<void(Task&)> step) {
  strand_->post([self = shared_from_this(), step = std::move(step)] { step(*self); });
}

void Task::post_after(std::chrono::milliseconds delay, std::function<void(Task&)> step) {
  machine_.pool->after(delay, [weak = weak_from_this(), step = std::move(step)] {
    if (const auto self = weak.lock())
      self->post([step](Task& task) {
        if (!task.finished_ && task.record_ != nullptr) step(task);
        if (!task.finished_) task.advance();
      });
  });
}

}  // namespace berth::runtime

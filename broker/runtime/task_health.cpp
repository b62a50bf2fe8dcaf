// Task, continued: container health checks, with Docker's rules.
// https://docs.docker.com/reference/dockerfile/#healthcheck
#include "broker/base/log.hpp"
#include "broker/runtime/bundle.hpp"
#include "broker/runtime/task.hpp"

namespace berth::runtime {
namespace {

// ["CMD-SHELL", "text"], ["CMD", program, ...]; ECS also takes a bare command.
std::vector<std::string> command_of(const std::vector<std::string>& command) {
  if (!command.empty() && command[0] == "CMD-SHELL") return {"/bin/sh", "-c", command.size() > 1 ? command[1] : ""};
  if (!command.empty() && command[0] == "CMD") return {command.begin() + 1, command.end()};
  return command;
}

}  // namespace

void Task::schedule_check(std::size_t index) {
  const Container::HealthCheck& check = *members_[index].definition.health_check;
  if (check.command.empty() || check.command[0] == "NONE") return;
  const std::string& name = members_[index].definition.name;
  auto run = [weak = weak_from_this(), index, oci = machine_.oci, id = runtime_id(launch_.id, name),
              command = command_of(check.command), timeout = check.timeout,
              pid_file = machine_.paths.bundle(launch_.id, name) + "/check.pid"] {
    if (weak.expired()) return;
    const auto exit_code = oci.execute(id, command, timeout, pid_file);
    if (const auto self = weak.lock())
      self->post([index, healthy = exit_code.value_or(1) == 0](Task& task) { task.checked(index, healthy); });
  };
  machine_.checks->after(check.interval, std::move(run));
}

void Task::checked(std::size_t index, bool healthy) {
  if (finished_ || record_ == nullptr) return;
  Member& member = members_[index];
  if (member.record->state != ContainerState::started) return;
  const Container::HealthCheck& check = *member.definition.health_check;
  const TimePoint now = machine_.clock.now();
  std::string verdict = member.health;
  if (healthy) {
    member.failures = 0;
    verdict = "HEALTHY";
  } else if (member.health == "HEALTHY" || now - from_record_time(member.record->started_at) >= check.start_period) {
    // Failures while it starts don't count.
    if (++member.failures >= check.retries) verdict = "UNHEALTHY";
  }
  if (verdict != member.health) {
    member.health = verdict;
    report(HealthChanged{now, member.definition.name, verdict});
  }
  schedule_check(index);
  advance();
}

}  // namespace berth::runtime

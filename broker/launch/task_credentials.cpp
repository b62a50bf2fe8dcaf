#include "broker/launch/task_credentials.hpp"

#include "broker/base/log.hpp"
#include "broker/base/secret.hpp"
#include "broker/control/task_endpoint.hpp"
#include "credentials/sts/assume_role.hpp"

namespace berth::launch {

namespace {

bool is_live(const control::Control& c, const cluster_sim::TaskId& id) {
  const auto task = c.cluster.tasks().find(id);
  return task != c.cluster.tasks().end() && task->second.last != cluster_sim::TaskStatus::stopped;
}

}  // namespace

std::expected<TaskCredentials::Served, TaskCredentials::Refusal> TaskCredentials::serve(const cluster_sim::TaskId& task,
                                                                                        const std::string& credentials_id,
                                                                                        TimePoint now) {
  const std::scoped_lock lock(mutex_);
  const bool live = plane_.read([&](const control::Control& c) { return is_live(c, task); });
  auto entry = issued_.find(task);
  if (live && entry == issued_.end())
    if (auto found = find(task)) entry = issued_.emplace(task, std::move(*found)).first;
  if (!live || entry == issued_.end()) return std::unexpected(Refusal::unknown_id);
  auto& issued = entry->second;
  if (!equal_constant_time(issued.credentials_id, credentials_id)) return std::unexpected(Refusal::unknown_id);
  if (!renew(task, issued, now)) return std::unexpected(Refusal::not_available);
  return Served{issued.role_arn, *issued.credentials};
}

std::optional<TaskCredentials::Issued> TaskCredentials::find(const cluster_sim::TaskId& task) {
  const auto endpoint =
      plane_.read([&](const control::Control& c) { return control::find_task_endpoint(c.documents, task.str()); });
  if (!endpoint || endpoint->credentials_id.empty()) return std::nullopt;
  return Issued{.credentials_id = endpoint->credentials_id, .role_arn = endpoint->role_arn};
}

// True where there are credentials to hand out: new ones where they run low, else the old ones for as long as they last.
bool TaskCredentials::renew(const cluster_sim::TaskId& task, Issued& issued, TimePoint now) {
  const auto identities = plane_.identities();
  const auto* role = identities->find_role_by_arn(issued.role_arn);
  const bool same_role = role != nullptr && role->id == issued.role_id;
  if (!same_role) issued.credentials.reset();
  if (issued.credentials && now + options_.renew_before < issued.credentials->expiration) return true;
  auto fresh = credentials::assume_role_as_service(*identities, tokens_, "ecs-tasks.amazonaws.com", issued.role_arn, task.str(),
                                                   options_.lifetime, now, random_, {{"task_id", task.str()}});
  if (!fresh) {
    log::warning("task credentials not renewed",
                 {{"task", task.str()}, {"role", issued.role_arn}, {"error", fresh.error().message}});
    return issued.credentials && now < issued.credentials->expiration;
  }
  issued.credentials = std::move(*fresh);
  issued.role_id = role->id;
  return true;
}

void TaskCredentials::forget(const cluster_sim::TaskId& task) {
  const std::scoped_lock lock(mutex_);
  issued_.erase(task);
}

}  // namespace berth::launch

// What answers on 169.254.170.2:80 inside each task: credentials (v1, v2) and task metadata (v3, v4), as the ECS agent does.
//
// The caller's task is the one whose listener took the request, whatever the request says: an id of another task is as unknown
// as one that never was. Thread-safe; never blocks on I/O.
#pragma once

#include <expected>
#include <functional>
#include <mutex>
#include <string>

#include "broker/base/clock.hpp"
#include "broker/control/control_plane.hpp"
#include "broker/http/message.hpp"
#include "broker/services/task_metadata/rate_limit.hpp"
#include "cluster_sim/ids.hpp"
#include "credentials/sts/session_token.hpp"

namespace berth::services::task_metadata {

struct RoleCredentials {
  std::string role_arn;
  credentials::TemporaryCredentials credentials;
};
enum class NoCredentials {
  unknown_id,     // not one of the task's
  not_available,  // known, but there are none to give
};
using CredentialsOf = std::function<std::expected<RoleCredentials, NoCredentials>(const cluster_sim::TaskId&,
                                                                                  const std::string& id, TimePoint now)>;

class TaskMetadata {
 public:
  struct Options {
    // ECS_TASK_METADATA_RPS_LIMIT of the agent: a second and at once, for each path of each task. steady 0: no limit.
    double steady = 40, burst = 60;
  };
  TaskMetadata(const control::ControlPlane& plane, const Clock& clock, CredentialsOf credentials_of)
      : TaskMetadata(plane, clock, std::move(credentials_of), Options{}) {}
  TaskMetadata(const control::ControlPlane& plane, const Clock& clock, CredentialsOf credentials_of, Options options)
      : plane_(plane),
        clock_(clock),
        credentials_of_(std::move(credentials_of)),
        limit_(options.steady, options.burst),
        steady_(options.steady) {}

  // `request.listener` is "task:<id>".
  http::Response handle(const http::Request& request);
  // The task is gone.
  void forget(const cluster_sim::TaskId& task);

 private:
  http::Response route(const cluster_sim::TaskId& task, const http::Request& request, const std::string& path);
  http::Response credentials(const cluster_sim::TaskId& task, std::string_view version, const std::string& id);
  http::Response metadata(const cluster_sim::TaskId& task, int version, std::string_view rest);
  http::Response agent_api(const cluster_sim::TaskId& task, std::string_view rest);

  const control::ControlPlane& plane_;
  const Clock& clock_;
  CredentialsOf credentials_of_;
  std::mutex limit_mutex_;  // a leaf: nothing is taken while it is held
  RateLimit limit_;
  double steady_;
};

}  // namespace berth::services::task_metadata

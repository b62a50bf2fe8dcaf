// TaskCredentials: the temporary credentials of the tasks' roles, as 169.254.170.2 hands them out.
//
// Issued when they are first asked for, handed out again until they run low, then replaced: an SDK refreshes 15 minutes before
// the expiry, so new ones must be there long before. Nothing is stored: tokens carry themselves, and after a restart a task
// gets new ones under the same path. Thread-safe; its lock is taken before the control lock, so not from within with() or read().
#pragma once

#include <chrono>
#include <expected>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "broker/base/clock.hpp"
#include "broker/base/random.hpp"
#include "broker/control/control_plane.hpp"
#include "cluster_sim/ids.hpp"
#include "credentials/sts/session_token.hpp"

namespace berth::launch {

class TaskCredentials {
 public:
  struct Options {
    std::chrono::seconds lifetime = std::chrono::hours(6);
    std::chrono::seconds renew_before = std::chrono::hours(1);
  };
  struct Served {
    std::string role_arn;
    credentials::TemporaryCredentials credentials;
  };
  enum class Refusal {
    unknown_id,     // not an id of that task, or the task has stopped
    not_available,  // the role can't be assumed (any more), and no credentials are left
  };

  TaskCredentials(const control::ControlPlane& plane, const credentials::SessionTokens& tokens, Random& random)
      : TaskCredentials(plane, tokens, random, Options{}) {}
  TaskCredentials(const control::ControlPlane& plane, const credentials::SessionTokens& tokens, Random& random, Options options)
      : plane_(plane), tokens_(tokens), random_(random), options_(options) {}

  // `task`: on whose listener the request came. Only its own id is known there.
  std::expected<Served, Refusal> serve(const cluster_sim::TaskId& task, const std::string& credentials_id, TimePoint now);
  // The task is gone.
  void forget(const cluster_sim::TaskId& task);

 private:
  struct Issued {
    std::string credentials_id, role_arn;
    std::string role_id;  // another one when the role was made again: what the old one got is void
    std::optional<credentials::TemporaryCredentials> credentials;
  };
  std::optional<Issued> find(const cluster_sim::TaskId& task);
  bool renew(const cluster_sim::TaskId& task, Issued& issued, TimePoint now);

  const control::ControlPlane& plane_;
  const credentials::SessionTokens& tokens_;
  Random& random_;
  const Options options_;

  std::mutex mutex_;
  std::map<cluster_sim::TaskId, Issued> issued_;
};

}  // namespace berth::launch

// How the command line reaches the daemon: the admin socket in the state directory (whoever may open it is the administrator)
// and, for everything that AWS's API has, the front door with the administrator's key.
#pragma once

#include <chrono>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "broker/base/error.hpp"
#include "broker/store/state_directory.hpp"

namespace berth::cli {

// Code::not_found, with what to do, where Berth was never started there.
Result<store::AdministratorCredentials> read_administrator(const std::string& state_directory);

struct AdminAnswer {
  int status = 0;
  std::string body;
  // Of /logs: where to go on, and whether the task has stopped and all is read.
  std::size_t next_offset = 0;
  bool finished = false;
};
// A request to the admin socket. Waits some seconds for a daemon that is being started again. Code::unavailable, with what to
// do, where no daemon answers.
Result<AdminAnswer> admin(const std::string& state_directory, const std::string& method, const std::string& target,
                          std::chrono::milliseconds timeout = std::chrono::seconds{10});
// GET /status as JSON.
Result<nlohmann::json> daemon_status(const std::string& state_directory);

// One call of the ECS API, signed with the administrator's key. An API error becomes `Code: message`.
Result<nlohmann::json> ecs(const std::string& state_directory, const std::string& endpoint, const std::string& operation,
                           const nlohmann::json& input);

// The one task that `text` (ARN, id or the beginning of one) names, as /status lists it.
Result<nlohmann::json> find_task(const nlohmann::json& status, const std::string& text);

}  // namespace berth::cli

// The admin socket: what `berth` asks of its own daemon. Whoever may open it, by the directory's mode, is the administrator.
//
//   GET  /status                                        everything, as one JSON object
//   GET  /logs?task=&container=&offset=&wait=           kept output from `offset` on; waits up to `wait` ms for news.
//                                                       X-Next-Offset, X-Finished: 1 once the task has stopped and all is read
//   *    /fs/...                                        see admin_fs.hpp
//   POST /upgrade?binary=                               that program takes over; 202 at once, 409 and why not where it can't
//   POST /zones/ACTION?zone=&clients=&patience=&a=&b=&ms=  isolate, lose, restore, latency: see ShareControl
//   POST /stop                                          stops all tasks, then the daemon
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "broker/base/error.hpp"
#include "broker/http/message.hpp"

namespace berth::daemon {

// The values of a query string, decoded.
std::map<std::string, std::string> read_query(std::string_view query);

class Admin {
 public:
  using Parameters = std::map<std::string, std::string>;
  struct Parts {
    std::function<nlohmann::json()> status;
    std::function<Result<std::string>(const std::string& action, const Parameters&)> change_zones;
    std::function<std::string(const std::string& task, const std::string& container)> log_path;
    // Whether the task has stopped (or was never there), so that its log can't grow.
    std::function<bool(const std::string& task)> stopped;
    std::function<void()> stop;
    std::function<Result<>(const std::string& binary)> upgrade;
    std::function<http::Response(const http::Request&)> file_systems;  // what begins with /fs/
  };
  explicit Admin(Parts parts) : parts_(std::move(parts)) {}

  http::Response handle(const http::Request& request) const;

 private:
  http::Response logs(const http::Request& request) const;
  Parts parts_;
};

}  // namespace berth::daemon

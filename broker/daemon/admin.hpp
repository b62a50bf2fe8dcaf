// The admin socket: what `berth` asks of its own daemon. Whoever may open it, by the directory's mode, is the administrator.
//
//   GET  /status                                        everything, as one JSON object
//   GET  /logs?task=&container=&offset=&wait=           kept output from `offset` on; waits up to `wait` ms for news.
//                                                       X-Next-Offset, X-Finished: 1 once the task has stopped and all is read
//   POST /stop                                          stops all tasks, then the daemon
#pragma once

#include <functional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "broker/http/message.hpp"

namespace berth::daemon {

class Admin {
 public:
  struct Parts {
    std::function<nlohmann::json()> status;
    std::function<std::string(const std::string& task, const std::string& container)> log_path;
    // Whether the task has stopped (or was never there), so that its log can't grow.
    std::function<bool(const std::string& task)> stopped;
    std::function<void()> stop;
  };
  explicit Admin(Parts parts) : parts_(std::move(parts)) {}

  http::Response handle(const http::Request& request) const;

 private:
  http::Response logs(const http::Request& request) const;
  Parts parts_;
};

}  // namespace berth::daemon

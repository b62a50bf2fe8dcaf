#include "broker/cli/logs.hpp"

#include <cstdio>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "broker/base/encoding.hpp"
#include "broker/cli/commands.hpp"
#include "broker/cli/connection.hpp"

namespace berth::cli {

Result<bool> LogReader::step(int wait_ms) {
  const std::string target = fmt::format("/logs?task={}&container={}&offset={}&wait={}", percent_encode(task_),
                                         percent_encode(container_), offset_, wait_ms);
  auto answer = admin(state_directory_, "GET", target, std::chrono::milliseconds{wait_ms + 10'000});
  if (!answer) return fail(answer.error());
  offset_ = answer->next_offset;
  rest_ += answer->body;
  std::size_t begin = 0;
  for (std::size_t end; (end = rest_.find('\n', begin)) != std::string::npos; begin = end + 1) {
    print(std::string_view{rest_}.substr(begin, end - begin));
  }
  rest_.erase(0, begin);
  std::fflush(stdout);
  return answer->finished;
}

// A kept line is `TIME STREAM TEXT`.
void LogReader::print(std::string_view line) const {
  const std::size_t after_time = line.find(' ');
  const std::size_t after_stream = line.find(' ', after_time + 1);
  if (after_time == std::string_view::npos || after_stream == std::string_view::npos) return;
  const std::string_view stream = line.substr(after_time + 1, after_stream - after_time - 1);
  const std::string_view text = line.substr(after_stream + 1);
  if (style_.json) {
    using Json = nlohmann::ordered_json;
    const Json object{{"time", line.substr(0, after_time)}, {"container", container_}, {"stream", stream}, {"text", text}};
    fmt::print("{}\n", object.dump(-1, ' ', false, Json::error_handler_t::replace));
    return;
  }
  if (style_.container_names) fmt::print(stream == "stderr" ? stderr : stdout, "{} | ", container_);
  fmt::print(stream == "stderr" ? stderr : stdout, "{}\n", style_.timestamps ? line : text);
}

Result<int> logs(const LogsOptions& options) {
  auto status = daemon_status(options.state_directory);
  if (!status) return fail(status.error());
  auto task = find_task(*status, options.task);
  if (!task) return fail(task.error());
  std::vector<LogReader> readers;
  const auto& containers = task->at("containers");
  for (const auto& container : containers) {
    const std::string name = container.value("name", "");
    if (!options.container.empty() && options.container != name) continue;
    const bool several = containers.size() > 1 && options.container.empty();
    readers.emplace_back(options.state_directory, task->value("id", ""), name,
                         LogStyle{.timestamps = options.timestamps, .container_names = several, .json = options.json});
  }
  if (readers.empty()) return fail(Code::not_found, "the task has no container `{}`", options.container);
  // One reader waits for news as long as the daemon lets it; several take turns.
  const int wait_ms = !options.follow ? 0 : readers.size() == 1 ? 5000 : 200;
  for (bool finished = false; !finished;) {
    finished = true;
    for (LogReader& reader : readers) {
      auto done = reader.step(wait_ms);
      if (!done) return fail(done.error());
      finished = finished && (*done || !options.follow);
    }
  }
  return 0;
}

}  // namespace berth::cli

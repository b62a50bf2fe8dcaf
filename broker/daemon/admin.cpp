#include "broker/daemon/admin.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "broker/base/encoding.hpp"
#include "broker/base/unique_fd.hpp"
#include "broker/runtime/log_pump.hpp"

namespace berth::daemon {

namespace {

constexpr std::size_t kPieceBytesMax = 1 << 20;
constexpr int kWaitMsMax = 10'000;

std::size_t number(const std::map<std::string, std::string>& values, const char* name) {
  std::size_t value = 0;
  if (const auto found = values.find(name); found != values.end()) {
    std::from_chars(found->second.data(), found->second.data() + found->second.size(), value);
  }
  return value;
}

std::string read_from(const std::string& path, std::uint64_t& offset) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return file ? runtime::read_log(file.get(), offset, kPieceBytesMax) : std::string();
}

// Waits until something happens to the file, or beside it while it isn't there, but no longer than `wait_ms`.
void wait_for_change(const std::string& path, int wait_ms) {
  const UniqueFd watch(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!watch) return;
  if (::inotify_add_watch(watch.get(), path.c_str(), IN_MODIFY) < 0) {
    ::inotify_add_watch(watch.get(), path.substr(0, path.rfind('/')).c_str(), IN_CREATE | IN_MODIFY);
  }
  pollfd waiting{watch.get(), POLLIN, 0};
  ::poll(&waiting, 1, wait_ms);
}

http::Response text(int status, std::string body) { return {status, {{"Content-Type", "text/plain"}}, std::move(body)}; }

}  // namespace

std::map<std::string, std::string> read_query(std::string_view query) {
  std::map<std::string, std::string> values;
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) continue;
    values[std::string{pair.substr(0, equals)}] = percent_decode(pair.substr(equals + 1), true).value_or("");
  }
  return values;
}

http::Response Admin::handle(const http::Request& request) const {
  if (request.path() == "/status" && request.method == "GET") {
    return {200, {{"Content-Type", "application/json"}}, parts_.status().dump()};
  }
  if (request.path() == "/logs" && request.method == "GET") return logs(request);
  if (request.path().starts_with("/fs/")) return parts_.file_systems(request);
  if (request.path() == "/upgrade" && request.method == "POST") {
    auto values = read_query(request.query());
    if (auto begun = parts_.upgrade(values["binary"]); !begun) return text(409, begun.error().message);
    return text(202, "the other program takes over\n");
  }
  constexpr std::string_view kZones = "/zones/";
  if (request.path().starts_with(kZones) && request.method == "POST") {
    const auto said = parts_.change_zones(std::string(request.path().substr(kZones.size())), read_query(request.query()));
    if (said) return text(200, *said + "\n");
    return text(said.error().code == Code::not_found ? 404 : 400, said.error().message);
  }
  if (request.path() == "/stop" && request.method == "POST") {
    parts_.stop();
    return text(200, "stopping\n");
  }
  return text(404, fmt::format("no `{} {}` here", request.method, request.path()));
}

http::Response Admin::logs(const http::Request& request) const {
  const auto values = read_query(request.query());
  const auto task = values.find("task");
  const auto container = values.find("container");
  const auto plain = [](const std::string& name) {
    return !name.empty() && name.find('/') == std::string::npos && name[0] != '.';
  };
  if (task == values.end() || container == values.end() || !plain(task->second) || !plain(container->second)) {
    return text(400, "name a task and a container");
  }
  std::uint64_t offset = number(values, "offset");
  const std::string path = parts_.log_path(task->second, container->second);
  // Asked before reading: what is written between the two is still read.
  bool stopped = parts_.stopped(task->second);
  std::string bytes = read_from(path, offset);
  const int wait_ms = static_cast<int>(std::min<std::size_t>(number(values, "wait"), kWaitMsMax));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds{wait_ms};
  while (bytes.empty() && !stopped && std::chrono::steady_clock::now() < deadline) {
    // Short waits, since a task may also stop without a last word.
    wait_for_change(path, 100);
    stopped = parts_.stopped(task->second);
    bytes = read_from(path, offset);
  }
  http::Response response = text(200, std::move(bytes));
  response.headers.emplace_back("X-Next-Offset", std::to_string(offset + response.body.size()));
  response.headers.emplace_back("X-Finished", stopped && response.body.empty() ? "1" : "0");
  return response;
}

}  // namespace berth::daemon

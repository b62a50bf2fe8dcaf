#include "broker/services/task_metadata/service.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "broker/base/encoding.hpp"
#include "broker/base/log.hpp"
#include "broker/services/task_metadata/paths.hpp"
#include "broker/services/task_metadata/task_json.hpp"

namespace berth::services::task_metadata {

namespace {

// Members keep the order in which the agent writes them.
using Json = nlohmann::ordered_json;

http::Response json_response(int status, const Json& body) {
  return {.status = status, .headers = {{"Content-Type", "application/json"}}, .body = body.dump()};
}

http::Response text_response(int status, std::string body) {
  return {.status = status, .headers = {{"Content-Type", "text/plain; charset=utf-8"}}, .body = std::move(body)};
}

http::Response not_found() { return text_response(404, "404 page not found\n"); }

http::Response redirect(const std::string& path, std::string_view query) {
  auto location = percent_encode(path, true);
  if (!query.empty()) location.append("?").append(query);
  auto response = text_response(301, "");
  response.headers.emplace_back("Location", std::move(location));
  return response;
}

http::Response credentials_error(int status, const char* code, std::string_view version, std::string_view message) {
  return json_response(
      status,
      {{"code", code}, {"message", fmt::format("CredentialsV{}Request: {}", version, message)}, {"HTTPErrorCode", status}});
}

http::Response credentials_response(const RoleCredentials& role) {
  return json_response(200, {{"RoleArn", role.role_arn},
                             {"AccessKeyId", role.credentials.access_key_id},
                             {"SecretAccessKey", std::string(role.credentials.secret.reveal())},
                             {"Token", role.credentials.token},
                             {"Expiration", to_iso8601(role.credentials.expiration)}});
}

// The agent's words for a name that it does not know.
http::Response unknown_endpoint(int version, bool of_task, const char* what, std::string_view id) {
  return json_response(
      404, fmt::format("V{} {} {} handler: unable to get {} from request: unable to get {} from v3 endpoint ID: {}", version,
                       of_task ? "task" : "container", what, of_task ? "task arn" : "container ID",
                       of_task ? "task Arn" : "docker ID", id));
}

const std::string* container_named_by(const control::TaskEndpoint& endpoint, std::string_view id) {
  for (const auto& [name, metadata_id] : endpoint.containers)
    if (metadata_id == id) return &name;
  return nullptr;
}

}  // namespace

http::Response TaskMetadata::handle(const http::Request& request) {
  constexpr std::string_view kListener = "task:";
  if (!request.listener.starts_with(kListener)) return not_found();
  const cluster_sim::TaskId task(request.listener.substr(kListener.size()));
  const auto path = percent_decode(request.path());
  if (!path) return text_response(400, "400 Bad Request");

  bool allowed = false;
  {
    const std::scoped_lock lock(limit_mutex_);
    allowed = limit_.allow(task.str() + *path, clock_.now());
  }
  auto response = allowed ? route(task, request, *path) : text_response(429, "You have reached maximum request limit.");
  response.headers.emplace_back("X-Rate-Limit-Limit", fmt::format("{:.2f}", steady_));
  response.headers.emplace_back("X-Rate-Limit-Duration", "1");
  const auto* forwarded = http::find_header(request.headers, "X-Forwarded-For");
  response.headers.emplace_back("X-Rate-Limit-Request-Forwarded-For", forwarded != nullptr ? *forwarded : "");
  response.headers.emplace_back("X-Rate-Limit-Request-Remote-Addr", request.peer);
  return response;
}

http::Response TaskMetadata::route(const cluster_sim::TaskId& task, const http::Request& request, const std::string& path) {
  if (const auto clean = clean_path(path); clean != path) return redirect(clean, request.query());
  const auto rest_of = [&](std::string_view prefix) { return std::string_view(path).substr(prefix.size()); };
  if (path == "/v1/credentials") return credentials(task, "1", query_value(request.query(), "id"));
  if (path.starts_with("/v2/credentials/")) return credentials(task, "2", std::string(rest_of("/v2/credentials/")));
  if (path.starts_with("/v3/")) return metadata(task, 3, rest_of("/v3/"));
  if (path.starts_with("/v4/")) return metadata(task, 4, rest_of("/v4/"));
  if (path.starts_with("/api/")) return agent_api(task, rest_of("/api/"));
  return not_found();
}

http::Response TaskMetadata::credentials(const cluster_sim::TaskId& task, std::string_view version, const std::string& id) {
  if (id.empty()) return credentials_error(400, "NoIdInRequest", version, "No Credential ID in the request");
  const auto found = credentials_of_(task, id, clock_.now());
  if (found) return credentials_response(*found);
  if (found.error() == NoCredentials::not_available)
    return credentials_error(503, "CredentialsUninitialized", version, "Credentials uninitialized for ID");
  // Worth a line: a task that asks for what is not its own.
  log::info("credentials refused", {{"task", task.str()}, {"reason", "not an id of this task"}});
  return credentials_error(400, "InvalidIdInRequest", version, "Credentials not found");
}

http::Response TaskMetadata::metadata(const cluster_sim::TaskId& task, int version, std::string_view rest) {
  const auto [id, what] = split_first(rest);
  const auto view = plane_.read([&](const control::Control& c) { return view_of(c, task); });
  const auto* container = view ? container_named_by(view->endpoint, id) : nullptr;
  const bool of_task = what.starts_with("task");
  const bool stats = what.ends_with("stats");
  if (!what.empty() && what != "task" && what != "taskWithTags" && what != "stats" && what != "task/stats" &&
      !what.starts_with("associations/"))
    return not_found();
  if (container == nullptr) return unknown_endpoint(version, of_task, stats ? "stats" : "metadata", id);
  if (what.empty()) return json_response(200, container_json(*view, *container, version));
  if (what == "task" || what == "taskWithTags") return json_response(200, task_json(*view, version, what == "taskWithTags"));
  return json_response(404, fmt::format("V{} handler: Berth has no {} yet", version, stats ? "container stats" : "associations"));
}

// Task protection and fault injection are the agent's API of today; none of it is built.
http::Response TaskMetadata::agent_api(const cluster_sim::TaskId& task, std::string_view rest) {
  const auto [id, what] = split_first(rest);
  const auto view = plane_.read([&](const control::Control& c) { return view_of(c, task); });
  if (!what.starts_with("task-protection/v1/") && !what.starts_with("fault/v1/")) return not_found();
  if (!view || container_named_by(view->endpoint, id) == nullptr) return unknown_endpoint(4, true, "metadata", id);
  const char* name = what.starts_with("fault/") ? "fault injection" : "task protection";
  return json_response(
      501,
      {{"error", {{"Arn", view->task.arn}, {"Code", "NotImplemented"}, {"Message", fmt::format("Berth has no {} yet", name)}}}});
}

void TaskMetadata::forget(const cluster_sim::TaskId& task) {
  const std::scoped_lock lock(limit_mutex_);
  limit_.forget(task.str());
}

}  // namespace berth::services::task_metadata

#include "broker/control/task_endpoint.hpp"

#include <nlohmann/json.hpp>

namespace berth::control {

using Json = nlohmann::json;

TaskEndpoint make_task_endpoint(Random& random, std::string role_arn, const std::vector<std::string>& containers) {
  TaskEndpoint endpoint;
  if (!role_arn.empty()) endpoint.credentials_id = random.uuid();
  endpoint.role_arn = std::move(role_arn);
  for (const auto& name : containers) endpoint.containers[name] = random.uuid();
  return endpoint;
}

void put_task_endpoint(Documents& documents, const std::string& task, const TaskEndpoint& endpoint) {
  const Json json{
      {"credentials_id", endpoint.credentials_id}, {"role_arn", endpoint.role_arn}, {"containers", endpoint.containers}};
  documents.put(std::string(kTaskEndpointKind), task, json.dump());
}

std::optional<TaskEndpoint> find_task_endpoint(const Documents& documents, const std::string& task) {
  const auto* text = documents.find(kTaskEndpointKind, task);
  if (text == nullptr) return std::nullopt;
  const auto json = Json::parse(*text, nullptr, false);
  if (json.is_discarded()) return std::nullopt;
  return TaskEndpoint{json.value("credentials_id", ""), json.value("role_arn", ""),
                      json.value("containers", std::map<std::string, std::string>{})};
}

}  // namespace berth::control

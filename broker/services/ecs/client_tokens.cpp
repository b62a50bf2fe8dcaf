#include "broker/services/ecs/client_tokens.hpp"

#include <cstdlib>

#include <nlohmann/json.hpp>

#include "broker/control/control_plane.hpp"
#include "broker/services/ecs/definition.hpp"
#include "broker/services/ecs/documents.hpp"
#include "broker/services/ecs/errors.hpp"
#include "broker/services/ecs/names.hpp"

namespace berth::services::ecs {

using api::Json;
using api::Outcome;
using cluster_sim::ClusterName;
using cluster_sim::TaskId;
using control::Control;

namespace {

constexpr std::size_t kTokenSizeMax = 64;

std::string key_of(const ClusterName& cluster, const std::string& token) { return cluster.str() + "/" + token; }

// Read without the rest, which may be large: `at` is the first member in the order of names, in which documents are written.
double time_of(const std::string& document) { return std::strtod(document.c_str() + document.find(':') + 1, nullptr); }

void forget_old_tokens(Control& c, std::chrono::seconds retention) {
  const auto oldest = to_epoch_seconds(c.now - retention);
  std::vector<std::string> old;
  c.documents.scan(kClientTokenKind, [&](const std::string& key, const std::string& text) {
    if (time_of(text) < oldest) old.push_back(key);
    return true;
  });
  for (const auto& key : old) c.documents.erase(kClientTokenKind, key);
}

std::unexpected<api::ApiError> conflict(const Home& home, const ClusterName& cluster, const Json& tasks) {
  auto arns = Json::array();
  for (const auto& id : tasks) arns.push_back(home.task_arn(cluster.str(), id.get<std::string>()));
  return std::unexpected(api::ApiError{"ConflictException", "The clientToken was used before with other parameters.",
                                       std::make_shared<const Json>(Json{{"resourceIds", std::move(arns)}})});
}

}  // namespace

Outcome<std::optional<std::vector<TaskId>>> find_client_token(Control& c, const ClusterName& cluster, const Json& input,
                                                              std::chrono::seconds retention) {
  const auto token = text_of(input, "clientToken");
  if (token.empty()) return std::nullopt;
  if (token.size() > kTokenSizeMax) return invalid("clientToken longer than {}.", kTokenSizeMax);
  forget_old_tokens(c, retention);
  const auto* text = c.documents.find(kClientTokenKind, key_of(cluster, token));
  if (text == nullptr) return std::nullopt;
  const auto kept = Json::parse(*text);
  if (kept.at("input") != input)
    return conflict({c.cluster.settings().region, c.cluster.settings().account}, cluster, kept.at("tasks"));
  std::vector<TaskId> tasks;
  for (const auto& id : kept.at("tasks")) tasks.emplace_back(id.get<std::string>());
  return tasks;
}

void keep_client_token(Control& c, const ClusterName& cluster, const Json& input, const std::vector<TaskId>& tasks) {
  const auto token = text_of(input, "clientToken");
  if (token.empty()) return;
  Json kept{{"input", input}, {"tasks", Json::array()}, {"at", to_epoch_seconds(c.now)}};
  for (const auto& id : tasks) kept["tasks"].push_back(id.str());
  c.documents.put(std::string(kClientTokenKind), key_of(cluster, token), kept.dump());
}

}  // namespace berth::services::ecs

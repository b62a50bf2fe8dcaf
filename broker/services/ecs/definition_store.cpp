#include "broker/services/ecs/definition_store.hpp"

#include <nlohmann/json.hpp>

#include "broker/control/documents.hpp"
#include "broker/services/ecs/documents.hpp"

namespace berth::services::ecs {

using api::Json;

Family load_family(const control::Documents& documents, std::string_view family) {
  const auto* text = documents.find(kFamilyKind, family);
  if (text == nullptr) return {};
  const auto json = Json::parse(*text);
  return {json.at("last").get<int>(), json.at("active").get<std::vector<int>>(), json.at("inactive").get<std::vector<int>>(),
          json.at("deleting").get<std::vector<int>>()};
}

void store_family(control::Documents& documents, const std::string& name, const Family& family) {
  const Json json{{"last", family.last}, {"active", family.active}, {"inactive", family.inactive}, {"deleting", family.deleting}};
  documents.put(std::string(kFamilyKind), name, json.dump());
}

std::optional<StoredDefinition> find_definition(const control::Documents& documents, const TaskDefinitionName& name) {
  auto revision = name.revision;
  if (!revision) {
    const auto family = load_family(documents, name.family);
    if (family.active.empty()) return std::nullopt;
    revision = family.active.back();
  }
  const auto* text = documents.find(kTaskDefinitionKind, task_definition_key(name.family, *revision));
  if (text == nullptr) return std::nullopt;
  return StoredDefinition{name.family, *revision, *text};
}

Json shown(Json definition) {
  definition.erase(std::string(kTagsMember));
  return definition;
}

}  // namespace berth::services::ecs

// Task definitions as they are kept: families with their revisions, over the documents of the control state (documents.hpp).
// Inside the ECS service only.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/api/operation.hpp"
#include "broker/services/ecs/names.hpp"

namespace berth::control {
class Documents;
}

namespace berth::services::ecs {

struct Family {
  int last = 0;
  std::vector<int> active, inactive, deleting;  // ascending
};
// An empty one where there is none.
Family load_family(const control::Documents& documents, std::string_view family);
// Kept without revisions too, for `last`.
void store_family(control::Documents& documents, const std::string& name, const Family& family);

struct StoredDefinition {
  std::string family;
  int revision = 0;
  std::string text;  // the document
};
// Without a revision: the latest ACTIVE one.
std::optional<StoredDefinition> find_definition(const control::Documents& documents, const TaskDefinitionName& name);

// The definition without its tags, as answers show it.
api::Json shown(api::Json definition);

}  // namespace berth::services::ecs

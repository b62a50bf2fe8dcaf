#include <algorithm>

#include <nlohmann/json.hpp>

#include "broker/control/control_plane.hpp"
#include "broker/services/ecs/definition.hpp"
#include "broker/services/ecs/definition_store.hpp"
#include "broker/services/ecs/documents.hpp"
#include "broker/services/ecs/errors.hpp"
#include "broker/services/ecs/operations.hpp"
#include "broker/services/ecs/page.hpp"
#include "broker/services/ecs/roles.hpp"
#include "broker/services/ecs/tag_list.hpp"

namespace berth::services::ecs {

using control::Control;

namespace {

constexpr std::size_t kDefinitionSizeMax = 64 * 1024;
constexpr std::size_t kDeletedAtOnceMax = 10;

// The definition as it will be kept, but for its revision.
Outcome<Json> prepare(const Home& home, const CallContext& context, const Json& input) {
  auto tags = read_tags(input);
  if (!tags) return refused(tags);
  auto definition = input;
  definition.erase("tags");
  if (definition.dump().size() > kDefinitionSizeMax)
    return client_error("The task definition is larger than {} KiB.", kDefinitionSizeMax / 1024);
  for (const auto* role : {"taskRoleArn", "executionRoleArn"}) {
    if (!definition.contains(role)) continue;
    if (text_of(definition, role).empty())
      definition.erase(role);
    else
      definition[role] = role_arn(home, text_of(definition, role));
  }
  if (auto completed = complete_definition(definition); !completed) return refused(completed);
  if (auto checked = check_definition(definition); !checked) return refused(checked);
  definition["compatibilities"] = compatibilities_of(definition);
  definition["requiresAttributes"] = Json::array();
  for (const auto& name : required_attributes(definition)) definition["requiresAttributes"].push_back({{"name", name}});
  definition["status"] = "ACTIVE";
  definition["registeredAt"] = to_epoch_seconds(context.now);
  definition["registeredBy"] = context.caller.arn;
  definition[kTagsMember] = *tags;
  return definition;
}

Json add_revision(Control& c, const Home& home, Json definition) {
  const auto name = text_of(definition, "family");
  auto family = load_family(c.documents, name);
  const auto revision = ++family.last;
  family.active.push_back(revision);
  store_family(c.documents, name, family);
  definition["revision"] = revision;
  definition["taskDefinitionArn"] = home.task_definition_arn(name, std::to_string(revision));
  c.documents.put(std::string(kTaskDefinitionKind), task_definition_key(name, revision), definition.dump());
  return definition;
}

Json tags_in(const Json& definition) { return write_tags(definition.value(kTagsMember, Tags())); }

void remove_number(std::vector<int>& numbers, int number) { std::erase(numbers, number); }
void add_number(std::vector<int>& numbers, int number) {
  numbers.insert(std::upper_bound(numbers.begin(), numbers.end(), number), number);
}

bool in_use(const Control& c, const std::string& arn) {
  const auto& tasks = c.cluster.tasks();
  return std::any_of(tasks.begin(), tasks.end(), [&](const auto& item) {
    return item.second.task_definition_arn == arn && item.second.last != cluster_sim::TaskStatus::stopped;
  });
}

// A revision that is being deleted goes when its last task has stopped.
void forget_unused(Control& c, const Home& home, const std::string& name, Family& family) {
  std::erase_if(family.deleting, [&](int revision) {
    if (in_use(c, home.task_definition_arn(name, std::to_string(revision)))) return false;
    c.documents.erase(kTaskDefinitionKind, task_definition_key(name, revision));
    return true;
  });
}

Json failure(const std::string& arn, const char* reason, const std::string& detail) {
  return {{"arn", arn}, {"reason", reason}, {"detail", detail}};
}

void delete_one(Control& c, const Home& home, const std::string& text, const TaskDefinitionName& name, TimePoint now,
                Json& answer) {
  const auto found = name.revision ? find_definition(c.documents, name) : std::nullopt;
  if (!found) {
    answer["failures"].push_back(failure(text, "MISSING", "The specified task definition does not exist."));
    return;
  }
  auto definition = Json::parse(found->text);
  const auto arn = text_of(definition, "taskDefinitionArn");
  if (text_of(definition, "status") == "ACTIVE") {
    answer["failures"].push_back(
        failure(arn, "INVALID_REQUEST", "The specified task definition is still in ACTIVE status. Deregister it first."));
    return;
  }
  definition["status"] = "DELETE_IN_PROGRESS";
  definition["deleteRequestedAt"] = to_epoch_seconds(now);
  c.documents.put(std::string(kTaskDefinitionKind), task_definition_key(name.family, found->revision), definition.dump());
  auto family = load_family(c.documents, name.family);
  remove_number(family.inactive, found->revision);
  remove_number(family.deleting, found->revision);
  add_number(family.deleting, found->revision);
  forget_unused(c, home, name.family, family);
  store_family(c.documents, name.family, family);
  answer["taskDefinitions"].push_back(shown(std::move(definition)));
}

const std::vector<int>& revisions(const Family& family, const std::string& status) {
  return status == "INACTIVE" ? family.inactive : status == "DELETE_IN_PROGRESS" ? family.deleting : family.active;
}

// The number behind the last colon of a task definition's ARN.
int revision_in(const std::string& arn) { return std::atoi(arn.c_str() + arn.rfind(':') + 1); }

// By family, then by number: `web:9` goes before `web:10`.
bool goes_before(const std::string& a, const std::string& b) {
  const auto family_a = a.substr(0, a.rfind(':')), family_b = b.substr(0, b.rfind(':'));
  return family_a != family_b ? family_a < family_b : revision_in(a) < revision_in(b);
}

}  // namespace

Outcome<Json> register_task_definition(const Parts& parts, const CallContext& context, const Json& input) {
  const auto home = home_of(parts);
  auto definition = prepare(home, context, input);
  if (!definition) return definition;
  return parts.plane.with([&](Control& c) -> Outcome<Json> {
    const auto kept = add_revision(c, home, std::move(*definition));
    return Json{{"taskDefinition", shown(kept)}, {"tags", tags_in(kept)}};
  });
}

Outcome<Json> deregister_task_definition(const Parts& parts, const CallContext&, const Json& input) {
  const auto name = read_task_definition(home_of(parts), text_of(input, "taskDefinition"));
  if (!name) return refused(name);
  if (!name->revision) return invalid("The task definition to deregister is named by family:revision or its ARN.");
  return parts.plane.with([&](Control& c) -> Outcome<Json> {
    const auto found = find_definition(c.documents, *name);
    if (!found)
      return client_error(
          "The specified task definition does not exist. Specify a valid account, family, revision and try again.");
    auto definition = Json::parse(found->text);
    if (text_of(definition, "status") == "ACTIVE") {
      definition["status"] = "INACTIVE";
      definition["deregisteredAt"] = to_epoch_seconds(c.now);
      c.documents.put(std::string(kTaskDefinitionKind), task_definition_key(name->family, found->revision), definition.dump());
      auto family = load_family(c.documents, name->family);
      remove_number(family.active, found->revision);
      add_number(family.inactive, found->revision);
      store_family(c.documents, name->family, family);
    }
    return Json{{"taskDefinition", shown(std::move(definition))}};
  });
}

Outcome<Json> delete_task_definitions(const Parts& parts, const CallContext&, const Json& input) {
  const auto home = home_of(parts);
  const auto& texts = input.at("taskDefinitions");
  if (texts.empty() || texts.size() > kDeletedAtOnceMax)
    return invalid("taskDefinitions must name 1 to {} revisions.", kDeletedAtOnceMax);
  std::vector<TaskDefinitionName> names;
  for (const auto& text : texts) {
    auto name = read_task_definition(home, text.get<std::string>());
    if (!name) return refused(name);
    names.push_back(std::move(*name));
  }
  return parts.plane.with([&](Control& c) -> Outcome<Json> {
    Json answer{{"taskDefinitions", Json::array()}, {"failures", Json::array()}};
    for (std::size_t i = 0; i < names.size(); ++i) delete_one(c, home, texts[i].get<std::string>(), names[i], c.now, answer);
    return answer;
  });
}

Outcome<Json> describe_task_definition(const Parts& parts, const CallContext&, const Json& input) {
  const auto name = read_task_definition(home_of(parts), text_of(input, "taskDefinition"));
  if (!name) return refused(name);
  const auto found = parts.plane.read([&](const Control& c) { return find_definition(c.documents, *name); });
  if (!found) return client_error("Unable to describe task definition.");
  auto definition = Json::parse(found->text);
  Json answer{{"tags", includes(input, "TAGS") ? tags_in(definition) : Json::array()}};
  answer["taskDefinition"] = shown(std::move(definition));
  return answer;
}

Outcome<Json> list_task_definitions(const Parts& parts, const CallContext&, const Json& input) {
  const auto home = home_of(parts);
  const auto status = input.value("status", "ACTIVE"), family = text_of(input, "familyPrefix");
  std::vector<std::string> arns;
  const auto add = [&](const Control& c, const std::string& name) {
    const auto found = load_family(c.documents, name);
    for (const auto revision : revisions(found, status)) arns.push_back(home.task_definition_arn(name, std::to_string(revision)));
  };
  parts.plane.read([&](const Control& c) {
    // Despite its name the parameter is a whole family's.
    if (!family.empty()) return add(c, family);
    c.documents.scan(kFamilyKind, [&](const std::string& name, const std::string&) {
      add(c, name);
      return true;
    });
  });
  if (input.value("sort", "ASC") == "DESC") {
    std::sort(arns.begin(), arns.end(), [](const auto& a, const auto& b) { return goes_before(b, a); });
    return write_page(arns, input, "taskDefinitionArns", [](const auto& a, const auto& b) { return goes_before(b, a); });
  }
  std::sort(arns.begin(), arns.end(), goes_before);
  return write_page(arns, input, "taskDefinitionArns", goes_before);
}

Outcome<Json> list_task_definition_families(const Parts& parts, const CallContext&, const Json& input) {
  const auto status = input.value("status", "ACTIVE");
  std::vector<std::string> names;
  parts.plane.read([&](const Control& c) {
    c.documents.scan(kFamilyKind, text_of(input, "familyPrefix"), [&](const std::string& name, const std::string&) {
      const auto family = load_family(c.documents, name);
      const bool inactive = family.active.empty() && !family.inactive.empty();
      if (status == "ACTIVE" ? !family.active.empty() : status == "INACTIVE" ? inactive : inactive || !family.active.empty())
        names.push_back(name);
      return true;
    });
  });
  return write_page(names, input, "families");
}

}  // namespace berth::services::ecs

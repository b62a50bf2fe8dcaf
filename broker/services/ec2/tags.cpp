#include "broker/services/ec2/tags.hpp"

#include <array>

#include "broker/control/control_plane.hpp"
#include "broker/services/ec2/operations.hpp"
#include "broker/services/ec2/wire.hpp"

namespace berth::services::ec2 {
namespace {

using namespace cluster_sim;
using control::Control;

template <class Table>
const Tags* tags_in(const Table& table, const std::string& id) {
  auto found = table.find(typename Table::key_type(id));
  return found == table.end() ? nullptr : &found->second.tags;
}

template <class Key>
Tags* edit_in(Cluster& cluster, const std::string& id) {
  auto* record = cluster.edit(Key(id));
  return record ? &record->tags : nullptr;
}

struct Taggable {
  std::string_view prefix, type;
  const Tags* (*find)(const Cluster&, const std::string& id);
  Tags* (*edit)(Cluster&, const std::string& id);
};

constexpr std::array kTaggable{
    Taggable{"vpc-", "vpc", [](const Cluster& c, const std::string& id) { return tags_in(c.vpcs(), id); }, edit_in<VpcId>},
    Taggable{"subnet-", "subnet", [](const Cluster& c, const std::string& id) { return tags_in(c.subnets(), id); },
             edit_in<SubnetId>},
    Taggable{"sg-", "security-group", [](const Cluster& c, const std::string& id) { return tags_in(c.security_groups(), id); },
             edit_in<SecurityGroupId>},
    Taggable{"eni-", "network-interface", [](const Cluster& c, const std::string& id) { return tags_in(c.interfaces(), id); },
             edit_in<InterfaceId>},
    Taggable{"lt-", "launch-template", [](const Cluster& c, const std::string& id) { return tags_in(c.launch_templates(), id); },
             edit_in<LaunchTemplateId>},
    Taggable{"i-", "instance", [](const Cluster& c, const std::string& id) { return tags_in(c.instances(), id); },
             edit_in<InstanceId>},
};

const Taggable* taggable(std::string_view id) {
  for (const auto& kind : kTaggable) {
    if (id.starts_with(kind.prefix)) return &kind;
  }
  return nullptr;
}

Outcome<void> check_all_exist(const Cluster& cluster, const std::vector<std::string>& ids) {
  for (const auto& id : ids) {
    if (!taggable(id)) return api::refuse("InvalidID", fmt::format("The ID '{}' is not valid", id));
    if (!find_tags(cluster, id)) return api::refuse("InvalidID", fmt::format("The ID '{}' does not exist", id));
  }
  return {};
}

void collect(const auto& table, std::string_view type, const Json& input, Items& items) {
  for (const auto& [key, record] : table) {
    for (const auto& [tag, value] : record.tags) {
      bool passes = true;
      for (const auto& filter : input.value("Filters", Json::array())) {
        const std::string name = text(filter, "Name");
        const Values seen = name == "resource-id"     ? Values{key.str()}
                            : name == "resource-type" ? Values{std::string(type)}
                            : name == "key"           ? Values{tag}
                            : name == "value"         ? Values{value}
                            : name == "tag:" + tag    ? Values{value}
                                                      : Values{};
        passes = passes && matches_any(texts(filter, "Values"), seen);
      }
      if (passes)
        items.emplace_back(key.str() + "/" + tag,
                           Json{{"ResourceId", key.str()}, {"ResourceType", type}, {"Key", tag}, {"Value", value}});
    }
  }
}

}  // namespace

std::string resource_type(std::string_view id) {
  const Taggable* kind = taggable(id);
  return kind ? std::string(kind->type) : std::string();
}

const Tags* find_tags(const Cluster& cluster, const std::string& id) {
  const Taggable* kind = taggable(id);
  return kind ? kind->find(cluster, id) : nullptr;
}

Outcome<Json> create_tags(ControlPlane& plane, const CallContext&, const Json& input) {
  const auto ids = texts(input, "Resources");
  return plane.with([&](Control& c) -> Outcome<Json> {
    if (auto checked = check_all_exist(c.cluster, ids); !checked) return std::unexpected(checked.error());
    for (const auto& id : ids) {
      Tags* tags = taggable(id)->edit(c.cluster, id);
      for (const auto& tag : input.at("Tags")) (*tags)[text(tag, "Key")] = text(tag, "Value");
    }
    return Json::object();
  });
}

// A tag given with a value goes only if it has that value; no tags given: all go.
Outcome<Json> delete_tags(ControlPlane& plane, const CallContext&, const Json& input) {
  const auto ids = texts(input, "Resources");
  return plane.with([&](Control& c) -> Outcome<Json> {
    if (auto checked = check_all_exist(c.cluster, ids); !checked) return std::unexpected(checked.error());
    for (const auto& id : ids) {
      Tags* tags = taggable(id)->edit(c.cluster, id);
      if (!input.contains("Tags")) tags->clear();
      for (const auto& tag : input.value("Tags", Json::array())) {
        auto found = tags->find(text(tag, "Key"));
        if (found != tags->end() && (!tag.contains("Value") || found->second == text(tag, "Value"))) tags->erase(found);
      }
    }
    return Json::object();
  });
}

Outcome<Json> describe_tags(ControlPlane& plane, const CallContext&, const Json& input) {
  for (const auto& filter : input.value("Filters", Json::array())) {
    static constexpr std::array<std::string_view, 4> kKnown{"resource-id", "resource-type", "key", "value"};
    const std::string name = text(filter, "Name");
    if (std::ranges::find(kKnown, name) == kKnown.end() && !name.starts_with("tag:")) return unknown_filter(name);
  }
  return plane.read([&](const Control& c) -> Outcome<Json> {
    Items items;
    collect(c.cluster.instances(), "instance", input, items);
    collect(c.cluster.launch_templates(), "launch-template", input, items);
    collect(c.cluster.interfaces(), "network-interface", input, items);
    collect(c.cluster.security_groups(), "security-group", input, items);
    collect(c.cluster.subnets(), "subnet", input, items);
    collect(c.cluster.vpcs(), "vpc", input, items);
    std::ranges::sort(items, {}, [](const auto& item) { return item.first; });
    return page(input, "Tags", std::move(items));
  });
}

}  // namespace berth::services::ec2

// Tags: the older operations name a file system, the newer ones any resource.
#include <nlohmann/json.hpp>

#include "broker/control/control_plane.hpp"
#include "broker/services/efs/operations.hpp"
#include "broker/services/efs/page.hpp"
#include "broker/services/efs/records.hpp"

namespace berth::services::efs {

using control::Control;

namespace {

// Shows the tags of the resource named `id_or_arn` to `change`, and stores what it made of them.
template <class Change>
Outcome<Json> change_tags(Control& c, const std::string& id_or_arn, Change change) {
  const auto apply = [&](const auto& record) -> Outcome<Json> {
    if (!record) return std::unexpected(record.error());
    auto changed = **record;
    change(changed.tags);
    if (auto checked = check_tag_count(changed.tags); !checked) return std::unexpected(checked.error());
    c.catalog.put(std::move(changed));
    return Json::object();
  };
  return bare_id(id_or_arn).starts_with("fsap-") ? apply(need_access_point(c.catalog, id_or_arn))
                                                 : apply(need_file_system(c.catalog, id_or_arn));
}

Outcome<const fuse::Tags*> tags_of(const fuse::Catalog& catalog, const std::string& id_or_arn) {
  const auto tags_in = [](const auto& record) -> Outcome<const fuse::Tags*> {
    if (!record) return std::unexpected(record.error());
    return &(*record)->tags;
  };
  return bare_id(id_or_arn).starts_with("fsap-") ? tags_in(need_access_point(catalog, id_or_arn))
                                                 : tags_in(need_file_system(catalog, id_or_arn));
}

Outcome<Json> add_tags(const Parts& parts, const Json& input, const char* resource) {
  const auto added = read_tags(input);
  if (!added) return std::unexpected(added.error());
  auto answer = parts.plane.with([&](Control& c) {
    return change_tags(c, input.at(resource), [&](fuse::Tags& tags) {
      for (const auto& [key, value] : *added) tags[key] = value;
    });
  });
  if (answer && parts.access_changed) parts.access_changed();  // policies may speak of tags
  return answer;
}

Outcome<Json> remove_tags(const Parts& parts, const Json& input, const char* resource) {
  auto answer = parts.plane.with([&](Control& c) {
    return change_tags(c, input.at(resource), [&](fuse::Tags& tags) {
      for (const auto& key : input.at("TagKeys")) tags.erase(key.get<std::string>());
    });
  });
  if (answer && parts.access_changed) parts.access_changed();
  return answer;
}

Outcome<Json> list_tags(const Parts& parts, const Json& input, const char* resource, const PageMembers& members) {
  return parts.plane.read([&](const Control& c) -> Outcome<Json> {
    const auto tags = tags_of(c.catalog, input.at(resource));
    if (!tags) return std::unexpected(tags.error());
    std::vector<std::string> keys;
    for (const auto& [key, value] : **tags) keys.push_back(key);
    return write_page(keys, input, members,
                      [&](const std::string& key) { return Json{{"Key", key}, {"Value", (*tags)->at(key)}}; });
  });
}

}  // namespace

Outcome<Json> tag_resource(const Parts& parts, const CallContext&, const Json& input) {
  return add_tags(parts, input, "ResourceId");
}
Outcome<Json> untag_resource(const Parts& parts, const CallContext&, const Json& input) {
  return remove_tags(parts, input, "ResourceId");
}
Outcome<Json> list_tags_for_resource(const Parts& parts, const CallContext&, const Json& input) {
  return list_tags(parts, input, "ResourceId", by_token("Tags"));
}

Outcome<Json> create_tags(const Parts& parts, const CallContext&, const Json& input) {
  return add_tags(parts, input, "FileSystemId");
}
Outcome<Json> delete_tags(const Parts& parts, const CallContext&, const Json& input) {
  return remove_tags(parts, input, "FileSystemId");
}
Outcome<Json> describe_tags(const Parts& parts, const CallContext&, const Json& input) {
  return list_tags(parts, input, "FileSystemId", by_marker("Tags"));
}

}  // namespace berth::services::efs

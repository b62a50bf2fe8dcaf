#include "broker/services/iam/support.hpp"

namespace berth::services::iam {

namespace {

constexpr std::size_t kAccessKeysMax = 2;

std::unexpected<api::ApiError> no_such_user(const std::string& name) {
  return no_such_entity("The user with name " + name + " cannot be found.");
}

// Without a UserName the caller means itself.
Outcome<std::string> user_name(const CallContext& context, const Json& input) {
  if (input.contains("UserName")) return input["UserName"].get<std::string>();
  if (context.caller.kind == credentials::Principal::Kind::user) return context.caller.name;
  return refuse("ValidationError", "Must specify userName when calling with non-User credentials");
}

Json key_json(const credentials::User& user, const credentials::AccessKey& key) {
  return {{"UserName", user.name},
          {"AccessKeyId", key.id},
          {"Status", key.active ? "Active" : "Inactive"},
          {"CreateDate", to_epoch_seconds(key.created)}};
}

// Changes one key of a user: edit(user, key id).
template <class Edit>
Outcome<Json> edit_key(ControlPlane& plane, const CallContext& context, const Json& input, const Edit& edit) {
  const auto name = user_name(context, input);
  if (!name) return std::unexpected(name.error());
  const auto id = input.at("AccessKeyId").get<std::string>();
  return mutate(plane, [&](control::Control&, Identities& identities) -> Outcome<Json> {
    const auto* user = identities.find_user(*name);
    if (!user) return no_such_user(*name);
    if (!user->access_keys.contains(id)) return no_such_entity("The Access Key with id " + id + " cannot be found.");
    return done(identities.update_user(*name, [&](credentials::User& changed) -> Result<> {
      edit(changed, id);
      return {};
    }));
  });
}

}  // namespace

Outcome<Json> create_user(ControlPlane& plane, const CallContext&, const Json& input) {
  auto tags = read_tags(input);
  if (!tags) return std::unexpected(tags.error());
  return mutate(plane, [&](control::Control& control, Identities& identities) -> Outcome<Json> {
    auto boundary = read_boundary(identities, input);
    if (!boundary) return std::unexpected(boundary.error());
    credentials::User user;
    user.name = input.at("UserName");
    user.path = input.value("Path", "/");
    user.id = credentials::make_unique_id("AIDA", control.random);
    user.created = control.now;
    user.tags = *tags;
    user.permissions_boundary = *boundary;
    const auto name = user.name;
    if (auto created = identities.create(std::move(user)); !created) return std::unexpected(api_error(created.error()));
    return Json{{"User", to_json(*identities.find_user(name), true)}};
  });
}

Outcome<Json> get_user(ControlPlane& plane, const CallContext& context, const Json& input) {
  const auto name = user_name(context, input);
  if (!name) return std::unexpected(name.error());
  const auto identities = plane.identities();
  const auto* user = identities->find_user(*name);
  if (!user) return no_such_user(*name);
  return Json{{"User", to_json(*user, true)}};
}

Outcome<Json> list_users(ControlPlane& plane, const CallContext&, const Json& input) {
  const auto identities = plane.identities();
  const auto prefix = input.value("PathPrefix", "/");
  Items items;
  for (const auto& [name, user] : identities->users()) {
    if (user->path.starts_with(prefix)) items.emplace_back(name, to_json(*user, false));
  }
  return page(items, "Users", input);
}

Outcome<Json> delete_user(ControlPlane& plane, const CallContext&, const Json& input) {
  return mutate(plane, [&](control::Control&, Identities& identities) {
    return done(identities.destroy_user(input.at("UserName").get<std::string>()));
  });
}

Outcome<Json> create_access_key(ControlPlane& plane, const CallContext& context, const Json& input) {
  const auto name = user_name(context, input);
  if (!name) return std::unexpected(name.error());
  return mutate(plane, [&](control::Control& control, Identities& identities) -> Outcome<Json> {
    const auto* user = identities.find_user(*name);
    if (!user) return no_such_user(*name);
    if (user->access_keys.size() >= kAccessKeysMax) {
      return refuse("LimitExceeded", fmt::format("Cannot exceed quota for AccessKeysPerUser: {}", kAccessKeysMax));
    }
    const auto key = credentials::make_access_key(control.random, control.now);
    Json json = key_json(*user, key);
    json["SecretAccessKey"] = std::string(key.secret.reveal());
    auto added = identities.update_user(*name, [&](credentials::User& changed) -> Result<> {
      changed.access_keys.emplace(key.id, key);
      return {};
    });
    if (!added) return std::unexpected(api_error(added.error()));
    return Json{{"AccessKey", std::move(json)}};
  });
}

Outcome<Json> list_access_keys(ControlPlane& plane, const CallContext& context, const Json& input) {
  const auto name = user_name(context, input);
  if (!name) return std::unexpected(name.error());
  const auto identities = plane.identities();
  const auto* user = identities->find_user(*name);
  if (!user) return no_such_user(*name);
  Items items;
  for (const auto& [id, key] : user->access_keys) items.emplace_back(id, key_json(*user, key));
  return page(items, "AccessKeyMetadata", input);
}

Outcome<Json> update_access_key(ControlPlane& plane, const CallContext& context, const Json& input) {
  const bool active = input.at("Status") == "Active";
  return edit_key(plane, context, input,
                  [active](credentials::User& user, const std::string& id) { user.access_keys.at(id).active = active; });
}

Outcome<Json> delete_access_key(ControlPlane& plane, const CallContext& context, const Json& input) {
  return edit_key(plane, context, input, [](credentials::User& user, const std::string& id) { user.access_keys.erase(id); });
}

}  // namespace berth::services::iam

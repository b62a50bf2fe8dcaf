#include "broker/services/iam/support.hpp"

namespace berth::services::iam {

namespace {

constexpr std::size_t kTrustPolicySizeMax = 2048;

Outcome<credentials::PolicyPtr> read_trust_policy(const Identities& identities, const std::string& document) {
  if (counted_size(document) > kTrustPolicySizeMax) {
    return refuse("LimitExceeded", fmt::format("Cannot exceed quota for ACLSizePerRole: {}", kTrustPolicySizeMax));
  }
  return parse_trust_policy(identities, document);
}

std::string role_name(const Json& input) { return input.at("RoleName").get<std::string>(); }

std::unexpected<api::ApiError> no_such_role(const std::string& name) {
  return no_such_entity("The role with name " + name + " cannot be found.");
}

Outcome<credentials::Role> read_role(const control::Control& control, const Identities& identities, const Json& input) {
  auto trust = read_trust_policy(identities, input.at("AssumeRolePolicyDocument"));
  if (!trust) return std::unexpected(trust.error());
  auto tags = read_tags(input);
  if (!tags) return std::unexpected(tags.error());
  auto boundary = read_boundary(identities, input);
  if (!boundary) return std::unexpected(boundary.error());
  credentials::Role role;
  role.name = role_name(input);
  role.path = input.value("Path", "/");
  role.id = credentials::make_unique_id("AROA", control.random);
  role.description = input.value("Description", "");
  role.max_session_duration = std::chrono::seconds(input.value("MaxSessionDuration", 3600));
  role.created = control.now;
  role.tags = *std::move(tags);
  role.trust_policy = *std::move(trust);
  role.permissions_boundary = *std::move(boundary);
  return role;
}

}  // namespace

Outcome<Json> create_role(ControlPlane& plane, const CallContext&, const Json& input) {
  return mutate(plane, [&](control::Control& control, Identities& identities) -> Outcome<Json> {
    auto role = read_role(control, identities, input);
    if (!role) return std::unexpected(role.error());
    if (auto created = identities.create(*std::move(role)); !created) return std::unexpected(api_error(created.error()));
    return Json{{"Role", to_json(*identities.find_role(role_name(input)), true)}};
  });
}

Outcome<Json> get_role(ControlPlane& plane, const CallContext&, const Json& input) {
  const auto identities = plane.identities();
  const auto* role = identities->find_role(role_name(input));
  if (!role) return no_such_role(role_name(input));
  Json json = to_json(*role, true);
  json["RoleLastUsed"] = Json::object();
  return Json{{"Role", std::move(json)}};
}

Outcome<Json> list_roles(ControlPlane& plane, const CallContext&, const Json& input) {
  const auto identities = plane.identities();
  const auto prefix = input.value("PathPrefix", "/");
  Items items;
  for (const auto& [name, role] : identities->roles()) {
    if (role->path.starts_with(prefix)) items.emplace_back(name, to_json(*role, false));
  }
  return page(items, "Roles", input);
}

Outcome<Json> update_role(ControlPlane& plane, const CallContext&, const Json& input) {
  return mutate(plane, [&](control::Control&, Identities& identities) {
    return done(identities.update_role(role_name(input), [&](credentials::Role& role) -> Result<> {
      if (input.contains("Description")) role.description = input["Description"];
      if (input.contains("MaxSessionDuration"))
        role.max_session_duration = std::chrono::seconds(input["MaxSessionDuration"].get<int>());
      return {};
    }));
  });
}

Outcome<Json> delete_role(ControlPlane& plane, const CallContext&, const Json& input) {
  return mutate(plane,
                [&](control::Control&, Identities& identities) { return done(identities.destroy_role(role_name(input))); });
}

Outcome<Json> update_assume_role_policy(ControlPlane& plane, const CallContext&, const Json& input) {
  return mutate(plane, [&](control::Control&, Identities& identities) -> Outcome<Json> {
    if (!identities.find_role(role_name(input))) return no_such_role(role_name(input));
    auto trust = read_trust_policy(identities, input.at("PolicyDocument"));
    if (!trust) return std::unexpected(trust.error());
    return done(identities.update_role(role_name(input), [&](credentials::Role& role) -> Result<> {
      role.trust_policy = *trust;
      return {};
    }));
  });
}

Outcome<Json> tag_role(ControlPlane& plane, const CallContext&, const Json& input) {
  return mutate(plane, [&](control::Control&, Identities& identities) -> Outcome<Json> {
    const auto* role = identities.find_role(role_name(input));
    if (!role) return no_such_role(role_name(input));
    auto tags = role->tags;
    if (auto merged = merge_tags(tags, input, "TagsPerRole"); !merged) return merged;
    return done(identities.update_role(role_name(input), [&](credentials::Role& changed) -> Result<> {
      changed.tags = tags;
      return {};
    }));
  });
}

Outcome<Json> untag_role(ControlPlane& plane, const CallContext&, const Json& input) {
  return mutate(plane, [&](control::Control&, Identities& identities) {
    return done(identities.update_role(role_name(input), [&](credentials::Role& role) -> Result<> {
      for (const auto& key : input.at("TagKeys")) role.tags.erase(key.get<std::string>());
      return {};
    }));
  });
}

Outcome<Json> list_role_tags(ControlPlane& plane, const CallContext&, const Json& input) {
  const auto identities = plane.identities();
  const auto* role = identities->find_role(role_name(input));
  if (!role) return no_such_role(role_name(input));
  Items items;
  for (const auto& [key, value] : role->tags) items.emplace_back(key, Json{{"Key", key}, {"Value", value}});
  return page(items, "Tags", input);
}

Outcome<Json> put_role_permissions_boundary(ControlPlane& plane, const CallContext&, const Json& input) {
  return mutate(plane, [&](control::Control&, Identities& identities) -> Outcome<Json> {
    const auto boundary = read_boundary(identities, input);
    if (!boundary) return std::unexpected(boundary.error());
    return done(identities.update_role(role_name(input), [&](credentials::Role& role) -> Result<> {
      role.permissions_boundary = *boundary;
      return {};
    }));
  });
}

Outcome<Json> delete_role_permissions_boundary(ControlPlane& plane, const CallContext&, const Json& input) {
  return mutate(plane, [&](control::Control&, Identities& identities) {
    return done(identities.update_role(role_name(input), [&](credentials::Role& role) -> Result<> {
      if (role.permissions_boundary.empty())
        return fail(Code::not_found, "Permissions boundary for role {} cannot be found.", role.name);
      role.permissions_boundary.clear();
      return {};
    }));
  });
}

}  // namespace berth::services::iam

#include "broker/services/iam/support.hpp"

namespace berth::services::iam {

namespace {

std::string profile_name(const Json& input) { return input.at("InstanceProfileName").get<std::string>(); }
std::string role_of(const Json& input) { return input.at("RoleName").get<std::string>(); }

std::unexpected<api::ApiError> no_such_profile(const std::string& name) {
  return no_such_entity("Instance Profile " + name + " cannot be found.");
}

}  // namespace

Outcome<Json> create_instance_profile(ControlPlane& plane, const CallContext&, const Json& input) {
  auto tags = read_tags(input);
  if (!tags) return std::unexpected(tags.error());
  return mutate(plane, [&](control::Control& control, Identities& identities) -> Outcome<Json> {
    credentials::InstanceProfile profile;
    profile.name = profile_name(input);
    profile.path = input.value("Path", "/");
    profile.id = credentials::make_unique_id("AIPA", control.random);
    profile.created = control.now;
    profile.tags = *tags;
    if (auto created = identities.create(std::move(profile)); !created) return std::unexpected(api_error(created.error()));
    return Json{{"InstanceProfile", to_json(identities, *identities.find_instance_profile(profile_name(input)))}};
  });
}

Outcome<Json> get_instance_profile(ControlPlane& plane, const CallContext&, const Json& input) {
  const auto identities = plane.identities();
  const auto* profile = identities->find_instance_profile(profile_name(input));
  if (!profile) return no_such_profile(profile_name(input));
  return Json{{"InstanceProfile", to_json(*identities, *profile)}};
}

Outcome<Json> list_instance_profiles(ControlPlane& plane, const CallContext&, const Json& input) {
  const auto identities = plane.identities();
  const auto prefix = input.value("PathPrefix", "/");
  Items items;
  for (const auto& [name, profile] : identities->instance_profiles()) {
    if (profile->path.starts_with(prefix)) items.emplace_back(name, to_json(*identities, *profile));
  }
  return page(items, "InstanceProfiles", input);
}

Outcome<Json> list_instance_profiles_for_role(ControlPlane& plane, const CallContext&, const Json& input) {
  const auto identities = plane.identities();
  const auto role = role_of(input);
  if (!identities->find_role(role)) return no_such_entity("The role with name " + role + " cannot be found.");
  Items items;
  for (const auto& [name, profile] : identities->instance_profiles()) {
    if (profile->role == role) items.emplace_back(name, to_json(*identities, *profile));
  }
  return page(items, "InstanceProfiles", input);
}

Outcome<Json> delete_instance_profile(ControlPlane& plane, const CallContext&, const Json& input) {
  return mutate(plane, [&](control::Control&, Identities& identities) {
    return done(identities.destroy_instance_profile(profile_name(input)));
  });
}

Outcome<Json> add_role_to_instance_profile(ControlPlane& plane, const CallContext&, const Json& input) {
  return mutate(plane, [&](control::Control&, Identities& identities) -> Outcome<Json> {
    const auto* profile = identities.find_instance_profile(profile_name(input));
    if (!profile) return no_such_profile(profile_name(input));
    const auto role = role_of(input);
    if (!identities.find_role(role)) return no_such_entity("The role with name " + role + " cannot be found.");
    if (!profile->role.empty()) return refuse("LimitExceeded", "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1");
    return done(identities.update_instance_profile(profile->name, [&](credentials::InstanceProfile& changed) -> Result<> {
      changed.role = role;
      return {};
    }));
  });
}

Outcome<Json> remove_role_from_instance_profile(ControlPlane& plane, const CallContext&, const Json& input) {
  return mutate(plane, [&](control::Control&, Identities& identities) -> Outcome<Json> {
    const auto* profile = identities.find_instance_profile(profile_name(input));
    if (!profile) return no_such_profile(profile_name(input));
    const auto role = role_of(input);
    if (profile->role != role) return no_such_entity("The role with name " + role + " cannot be found.");
    return done(identities.update_instance_profile(profile->name, [](credentials::InstanceProfile& changed) -> Result<> {
      changed.role.clear();
      return {};
    }));
  });
}

}  // namespace berth::services::iam

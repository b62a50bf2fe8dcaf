// Inline and attached policies of roles and users: the same operations on two kinds of owner.

#include "broker/services/iam/support.hpp"

namespace berth::services::iam {

namespace {

constexpr std::size_t kAttachedMax = 10;

struct Roles {
  using Record = credentials::Role;
  static constexpr const char* kNameMember = "RoleName";
  static constexpr std::string_view kWord = "role";
  static constexpr std::string_view kAttachedQuota = "PoliciesPerRole";
  static constexpr std::size_t kInlineSizeMax = 10240;  // of all its inline policies together
  static const Record* find(const Identities& identities, const std::string& name) { return identities.find_role(name); }
  static Result<> update(Identities& identities, const std::string& name, const Identities::Edit<Record>& edit) {
    return identities.update_role(name, edit);
  }
};

struct Users {
  using Record = credentials::User;
  static constexpr const char* kNameMember = "UserName";
  static constexpr std::string_view kWord = "user";
  static constexpr std::string_view kAttachedQuota = "PoliciesPerUser";
  static constexpr std::size_t kInlineSizeMax = 2048;
  static const Record* find(const Identities& identities, const std::string& name) { return identities.find_user(name); }
  static Result<> update(Identities& identities, const std::string& name, const Identities::Edit<Record>& edit) {
    return identities.update_user(name, edit);
  }
};

template <class Owners>
Outcome<const typename Owners::Record*> find_owner(const Identities& identities, const Json& input) {
  const auto name = input.at(Owners::kNameMember).template get<std::string>();
  const auto* owner = Owners::find(identities, name);
  if (!owner) return no_such_entity(fmt::format("The {} with name {} cannot be found.", Owners::kWord, name));
  return owner;
}

template <class Owners>
std::unexpected<api::ApiError> no_such_policy(const std::string& name) {
  return no_such_entity(fmt::format("The {} policy with name {} cannot be found.", Owners::kWord, name));
}

template <class Owners>
Outcome<Json> put_inline(ControlPlane& plane, const Json& input) {
  const auto document = input.at("PolicyDocument").get<std::string>();
  const auto policy_name = input.at("PolicyName").get<std::string>();
  auto policy = parse_identity_policy(document);  // outside the lock
  return mutate(plane, [&](control::Control&, Identities& identities) -> Outcome<Json> {
    const auto owner = find_owner<Owners>(identities, input);
    if (!owner) return std::unexpected(owner.error());
    if (!policy) return std::unexpected(policy.error());
    std::size_t size = counted_size(document);
    for (const auto& [name, other] : (*owner)->inline_policies) size += name == policy_name ? 0 : counted_size(other->document());
    if (size > Owners::kInlineSizeMax) {
      return refuse("LimitExceeded", fmt::format("Maximum policy size of {} bytes exceeded for {} {}", Owners::kInlineSizeMax,
                                                 Owners::kWord, (*owner)->name));
    }
    return done(Owners::update(identities, (*owner)->name, [&](auto& record) -> Result<> {
      record.inline_policies.insert_or_assign(policy_name, *policy);
      return {};
    }));
  });
}

template <class Owners>
Outcome<Json> get_inline(ControlPlane& plane, const Json& input) {
  const auto identities = plane.identities();
  const auto owner = find_owner<Owners>(*identities, input);
  if (!owner) return std::unexpected(owner.error());
  const auto name = input.at("PolicyName").get<std::string>();
  const auto found = (*owner)->inline_policies.find(name);
  if (found == (*owner)->inline_policies.end()) return no_such_policy<Owners>(name);
  return Json{{Owners::kNameMember, (*owner)->name}, {"PolicyName", name}, {"PolicyDocument", wire_document(*found->second)}};
}

template <class Owners>
Outcome<Json> delete_inline(ControlPlane& plane, const Json& input) {
  return mutate(plane, [&](control::Control&, Identities& identities) -> Outcome<Json> {
    const auto owner = find_owner<Owners>(identities, input);
    if (!owner) return std::unexpected(owner.error());
    const auto name = input.at("PolicyName").get<std::string>();
    if (!(*owner)->inline_policies.contains(name)) return no_such_policy<Owners>(name);
    return done(Owners::update(identities, (*owner)->name, [&](auto& record) -> Result<> {
      record.inline_policies.erase(name);
      return {};
    }));
  });
}

template <class Owners>
Outcome<Json> list_inline(ControlPlane& plane, const Json& input) {
  const auto identities = plane.identities();
  const auto owner = find_owner<Owners>(*identities, input);
  if (!owner) return std::unexpected(owner.error());
  Items items;
  for (const auto& [name, policy] : (*owner)->inline_policies) items.emplace_back(name, name);
  return page(items, "PolicyNames", input);
}

template <class Owners>
Outcome<Json> attach(ControlPlane& plane, const Json& input) {
  return mutate(plane, [&](control::Control&, Identities& identities) -> Outcome<Json> {
    const auto owner = find_owner<Owners>(identities, input);
    if (!owner) return std::unexpected(owner.error());
    const auto arn = input.at("PolicyArn").get<std::string>();
    if (!identities.find_policy(arn)) return no_such_entity("Policy " + arn + " does not exist or is not attachable.");
    const auto& attached = (*owner)->attached_policies;
    if (!attached.contains(arn) && attached.size() >= kAttachedMax) {
      return refuse("LimitExceeded", fmt::format("Cannot exceed quota for {}: {}", Owners::kAttachedQuota, kAttachedMax));
    }
    return done(Owners::update(identities, (*owner)->name, [&](auto& record) -> Result<> {
      record.attached_policies.insert(arn);
      return {};
    }));
  });
}

template <class Owners>
Outcome<Json> detach(ControlPlane& plane, const Json& input) {
  return mutate(plane, [&](control::Control&, Identities& identities) -> Outcome<Json> {
    const auto owner = find_owner<Owners>(identities, input);
    if (!owner) return std::unexpected(owner.error());
    const auto arn = input.at("PolicyArn").get<std::string>();
    if (!(*owner)->attached_policies.contains(arn)) return no_such_entity("Policy " + arn + " was not found.");
    return done(Owners::update(identities, (*owner)->name, [&](auto& record) -> Result<> {
      record.attached_policies.erase(arn);
      return {};
    }));
  });
}

template <class Owners>
Outcome<Json> list_attached(ControlPlane& plane, const Json& input) {
  const auto identities = plane.identities();
  const auto owner = find_owner<Owners>(*identities, input);
  if (!owner) return std::unexpected(owner.error());
  const auto prefix = input.value("PathPrefix", "/");
  Items items;
  for (const auto& arn : (*owner)->attached_policies) {
    const auto* policy = identities->find_policy(arn);
    if (policy && policy->path.starts_with(prefix))
      items.emplace_back(arn, Json{{"PolicyName", policy->name}, {"PolicyArn", arn}});
  }
  return page(items, "AttachedPolicies", input);
}

}  // namespace

Outcome<Json> put_role_policy(ControlPlane& plane, const CallContext&, const Json& input) {
  return put_inline<Roles>(plane, input);
}
Outcome<Json> get_role_policy(ControlPlane& plane, const CallContext&, const Json& input) {
  return get_inline<Roles>(plane, input);
}
Outcome<Json> delete_role_policy(ControlPlane& plane, const CallContext&, const Json& input) {
  return delete_inline<Roles>(plane, input);
}
Outcome<Json> list_role_policies(ControlPlane& plane, const CallContext&, const Json& input) {
  return list_inline<Roles>(plane, input);
}
Outcome<Json> attach_role_policy(ControlPlane& plane, const CallContext&, const Json& input) {
  return attach<Roles>(plane, input);
}
Outcome<Json> detach_role_policy(ControlPlane& plane, const CallContext&, const Json& input) {
  return detach<Roles>(plane, input);
}
Outcome<Json> list_attached_role_policies(ControlPlane& plane, const CallContext&, const Json& input) {
  return list_attached<Roles>(plane, input);
}

Outcome<Json> put_user_policy(ControlPlane& plane, const CallContext&, const Json& input) {
  return put_inline<Users>(plane, input);
}
Outcome<Json> get_user_policy(ControlPlane& plane, const CallContext&, const Json& input) {
  return get_inline<Users>(plane, input);
}
Outcome<Json> delete_user_policy(ControlPlane& plane, const CallContext&, const Json& input) {
  return delete_inline<Users>(plane, input);
}
Outcome<Json> list_user_policies(ControlPlane& plane, const CallContext&, const Json& input) {
  return list_inline<Users>(plane, input);
}
Outcome<Json> attach_user_policy(ControlPlane& plane, const CallContext&, const Json& input) {
  return attach<Users>(plane, input);
}
Outcome<Json> detach_user_policy(ControlPlane& plane, const CallContext&, const Json& input) {
  return detach<Users>(plane, input);
}
Outcome<Json> list_attached_user_policies(ControlPlane& plane, const CallContext&, const Json& input) {
  return list_attached<Users>(plane, input);
}

}  // namespace berth::services::iam

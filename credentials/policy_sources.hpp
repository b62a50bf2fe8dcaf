// PolicySources: the policies that hang on a principal, found in the identities. A look, not a copy: it must not outlive them.
#pragma once

#include <string>
#include <string_view>

#include <fmt/format.h>

#include "credentials/identities.hpp"
#include "credentials/principal.hpp"

namespace berth::credentials {

class PolicySources {
 public:
  PolicySources(const Identities& identities, const Principal& principal) : identities_(identities) {
    if (principal.kind == Principal::Kind::user) user_ = identities.find_user(principal.name);
    if (principal.kind == Principal::Kind::assumed_role) role_ = identities.find_role(principal.name);
    // A role of the same name that was made after the session's: not its role.
    if (role_ && !principal.unique_id.starts_with(role_->id + ":")) role_ = nullptr;
  }

  const Tags* tags() const { return user_ ? &user_->tags : role_ ? &role_->tags : nullptr; }
  std::string_view boundary() const { return user_ ? user_->permissions_boundary : role_ ? role_->permissions_boundary : kNone; }

  // visit(const Policy&, name): `name()` makes the policy's name for a StatementRef, only where it is needed.
  template <class Visit>
  void for_each_identity_policy(const Visit& visit) const {
    if (user_) each(*user_, "user", visit);
    if (role_) each(*role_, "role", visit);
  }

 private:
  template <class Owner, class Visit>
  void each(const Owner& owner, std::string_view what, const Visit& visit) const {
    for (const auto& [name, policy] : owner.inline_policies) {
      visit(*policy, [&] { return fmt::format("inline policy `{}` of {} `{}`", name, what, owner.name); });
    }
    for (const auto& arn : owner.attached_policies) {
      if (const auto* policy = identities_.find_policy(arn)) visit(*policy->document(), [&] { return arn; });
    }
  }

  inline static const std::string kNone;
  const Identities& identities_;
  const User* user_ = nullptr;
  const Role* role_ = nullptr;
};

}  // namespace berth::credentials

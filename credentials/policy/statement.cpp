#include "credentials/policy/statement.hpp"

#include <algorithm>

namespace berth::credentials {

Mention PrincipalEntry::mentions(const Principal& principal) const {
  const bool service = principal.kind == Principal::Kind::service;
  const auto if_same = [](bool same, Mention mention) { return same ? mention : Mention::none; };
  switch (kind) {
    case Kind::everyone: return Mention::directly;
    case Kind::service: return if_same(service && principal.arn == value, Mention::directly);
    case Kind::account:
      return if_same(!service && principal.kind != Principal::Kind::anonymous && principal.account == value, Mention::by_account);
    case Kind::arn:
      return if_same(!service && (principal.arn == value || (!principal.role_arn.empty() && principal.role_arn == value)),
                     Mention::directly);
    case Kind::unique_id: {
      // A session's unique id is `AROA...:session`.
      const std::string_view id = principal.unique_id;
      return if_same(!service && id.substr(0, id.find(':')) == value, Mention::directly);
    }
  }
  return Mention::none;
}

Mention Statement::mentions(const Principal& principal) const {
  Mention best = Mention::none;
  for (const auto& entry : principals) best = std::max(best, entry.mentions(principal));
  if (!not_principal) return best;
  // A Deny spares only whom it names; naming the account does not spare its users. An Allow is for none that it names at all.
  const bool spared = effect == Effect::deny ? best == Mention::directly : best != Mention::none;
  return spared ? Mention::none : Mention::directly;
}

bool Statement::covers_action(std::string_view action) const {
  return std::ranges::any_of(actions, [action](const Pattern& pattern) { return pattern.matches(action); }) != not_action;
}

bool Statement::covers_resource(std::string_view resource, const RequestContext& context) const {
  if (resources.empty()) return true;
  for (const auto& pattern : resources) {
    const auto filled = pattern.fill(context);
    // An Allow for "all but X" must not grow into "all" because X could not be told.
    if (!filled && not_resource && effect == Effect::allow) return false;
    if (filled && filled->matches_resource(resource)) return !not_resource;
  }
  return not_resource;
}

bool Statement::conditions_hold(const RequestContext& context) const {
  std::vector<std::string_view> values;
  bool doubtful = false;
  const bool hold =
      std::ranges::all_of(conditions, [&](const Condition& condition) { return condition.holds(context, values, doubtful); });
  // As above: "not equal to what nobody knows" allows nothing, but it denies.
  return hold && !(doubtful && effect == Effect::allow);
}

}  // namespace berth::credentials

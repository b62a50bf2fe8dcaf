// Statement: one statement of a policy, compiled. What the parser fills and the evaluator reads.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "credentials/policy/condition.hpp"
#include "credentials/policy/pattern.hpp"
#include "credentials/principal.hpp"

namespace berth::credentials {

enum class Effect { allow, deny };

// How a Principal element speaks of someone. `by_account`: it names the account, which hands the decision on to the account's
// own (identity) policies. `directly`: the user, role or session itself, or everyone.
enum class Mention { none, by_account, directly };

struct PrincipalEntry {
  enum class Kind { everyone, account, arn, unique_id, service };
  Kind kind = Kind::everyone;
  std::string value;  // account number, ARN, id or host name
  std::string text;   // as written

  Mention mentions(const Principal& principal) const;
};

struct Statement {
  std::string sid;
  Effect effect = Effect::deny;
  bool not_action = false;
  std::vector<Pattern> actions;
  bool not_resource = false;
  std::vector<Pattern> resources;  // empty in trust policies
  bool not_principal = false;
  std::vector<PrincipalEntry> principals;  // empty in identity policies
  std::vector<Condition> conditions;       // all must hold

  Mention mentions(const Principal& principal) const;
  bool covers_action(std::string_view action) const;
  bool covers_resource(std::string_view resource, const RequestContext& context) const;
  bool conditions_hold(const RequestContext& context) const;
};

}  // namespace berth::credentials

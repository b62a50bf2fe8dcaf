#include "credentials/policy/evaluate.hpp"

namespace berth::credentials {

PolicyAnswer evaluate(const Policy& policy, std::string_view action, std::string_view resource, const RequestContext& context) {
  PolicyAnswer answer;
  const auto& statements = policy.statements();
  for (std::size_t i = 0; i < statements.size(); ++i) {
    const auto& statement = statements[i];
    // Identity policies name nobody: they speak of whom they are attached to.
    const Mention mention = policy.kind() == PolicyKind::identity ? Mention::directly : statement.mentions(context.principal());
    if (mention == Mention::none || !statement.covers_action(action) || !statement.covers_resource(resource, context) ||
        !statement.conditions_hold(context)) {
      continue;
    }
    if (statement.effect == Effect::deny) {
      answer.denied_by = i;
      return answer;
    }
    if (mention > answer.mention) {
      answer.allowed_by = i;
      answer.mention = mention;
    }
  }
  return answer;
}

}  // namespace berth::credentials

// An IAM policy and one request, held against it: kind, action, resource, `key=value` lines, an empty line, the document.
#include "credentials/policy/policy.hpp"

#include "credentials/policy/context.hpp"
#include "credentials/policy/evaluate.hpp"
#include "credentials/policy/statement.hpp"
#include "tests/fuzz/targets/target.hpp"

namespace berth::fuzz {
namespace {

using credentials::PolicyKind;
using credentials::Principal;

const Principal kRole{.kind = Principal::Kind::assumed_role,
                      .account = "123456789012",
                      .arn = "arn:aws:sts::123456789012:assumed-role/reader/one",
                      .unique_id = "AROAEXAMPLE:one",
                      .name = "reader",
                      .access_key_id = "ASIAEXAMPLE",
                      .role_arn = "arn:aws:iam::123456789012:role/reader",
                      .session_name = "one",
                      .session_tags = {{"team", "blue"}},
                      .session_policies = {},
                      .issued_at = TimePoint{std::chrono::hours(480000)}};

PolicyKind kind_of(std::string_view line) {
  if (line == "resource") return PolicyKind::resource;
  return line == "trust" ? PolicyKind::trust : PolicyKind::identity;
}

}  // namespace

void policy(std::string_view input) {
  const PolicyKind kind = kind_of(take_line(input));
  const std::string action(take_line(input)), resource(take_line(input));
  credentials::RequestContext::Conditions conditions;
  for (std::string_view line = take_line(input); !line.empty(); line = take_line(input)) {
    const std::size_t equals = line.find('=');
    if (equals != std::string_view::npos) conditions.emplace(line.substr(0, equals), line.substr(equals + 1));
  }
  const auto parsed = credentials::Policy::parse(input, kind);
  if (!parsed) {
    require(!parsed.error().message.empty(), "a refusal says why");
    return;
  }
  require((*parsed)->document() == input, "the document is kept as it was put");
  const credentials::RequestContext context(kRole, nullptr, conditions, TimePoint{std::chrono::hours(490000)});
  const auto answer = evaluate(**parsed, action, resource, context);
  const auto again = evaluate(**parsed, action, resource, context);
  const auto& statements = (*parsed)->statements();
  require(answer.denied_by == again.denied_by && answer.allowed_by == again.allowed_by, "one request has one answer");
  if (answer.allowed_by) {
    require(*answer.allowed_by < statements.size(), "the statement that allows is the policy's");
    require(statements[*answer.allowed_by].effect == credentials::Effect::allow, "only an Allow allows");
  }
  if (answer.denied_by) {
    require(*answer.denied_by < statements.size(), "the statement that denies is the policy's");
    require(statements[*answer.denied_by].effect == credentials::Effect::deny, "only a Deny denies");
  }
}

}  // namespace berth::fuzz

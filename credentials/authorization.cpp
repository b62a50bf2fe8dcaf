#include "credentials/authorization.hpp"

#include <fmt/format.h>

#include "broker/base/arn.hpp"
#include "credentials/policy/evaluate.hpp"
#include "credentials/policy_sources.hpp"

namespace berth::credentials {

namespace {

constexpr std::string_view kIdentityType = "identity-based policy";
constexpr std::string_view kResourceType = "resource-based policy";
constexpr std::string_view kSessionType = "session policy";
constexpr std::string_view kBoundaryType = "permissions boundary";

// What all policies of one type say together: any deny denies, any allow allows.
struct Answer {
  std::optional<StatementRef> denied;
  std::optional<StatementRef> allowed;
  bool asked = false;  // is there a policy of this type at all?
  Mention mention = Mention::none;
};

class Judgement {
 public:
  Judgement(const Identities& identities, const AccessRequest& request)
      : identities_(identities),
        request_(request),
        sources_(identities, request.principal),
        context_(request.principal, sources_.tags(), request.conditions, request.now) {}

  Decision decide() {
    const Answer identity = ask_identity_policies();
    const Answer boundary = ask_boundary();
    const Answer session = ask_session_policies();
    const Answer resource = ask_resource_policy();
    for (const Answer* answer : {&identity, &resource, &boundary, &session}) {
      if (answer->denied) return denied(*answer->denied);
    }
    if (broken_) return implicitly_denied(broken_type_);
    return weigh(identity, boundary, session, resource);
  }

 private:
  // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html
  Decision weigh(const Answer& identity, const Answer& boundary, const Answer& session, const Answer& resource) const {
    if (!resource.asked && request_.open_without_resource_policy) return allowed(open_to_all());
    const bool named = resource.mention == Mention::directly;
    if (names_nobody_of_iam()) return named ? allowed(*resource.allowed) : implicitly_denied(kResourceType);
    if (foreign_resource()) {
      if (!resource.allowed) return implicitly_denied(kResourceType);
    } else if (named && !limited_by_boundaries()) {
      return allowed(*resource.allowed);
    }
    const bool granted_by_resource = named && !foreign_resource();
    if (!identity.allowed && !granted_by_resource) return implicitly_denied(kIdentityType);
    if (boundary.asked && !boundary.allowed) return implicitly_denied(kBoundaryType);
    if (session.asked && !session.allowed) return implicitly_denied(kSessionType);
    Decision decision = allowed(identity.allowed ? *identity.allowed : *resource.allowed);
    for (const Answer* also : {&boundary, &session}) {
      if (also->allowed) decision.determining.push_back(*also->allowed);
    }
    return decision;
  }

  bool names_nobody_of_iam() const {
    return request_.principal.kind == Principal::Kind::service || request_.principal.kind == Principal::Kind::anonymous;
  }

  bool foreign_resource() const {
    const auto arn = parse_arn(request_.resource);
    return arn && !arn->account.empty() && arn->account != "aws" && arn->account != request_.principal.account;
  }

  // A resource policy that names the user or the session itself, or everyone, grants past boundary and session policies; one
  // that names a role grants to the role, and its sessions stay within theirs.
  bool limited_by_boundaries() const { return request_.principal.kind == Principal::Kind::assumed_role && resource_names_role_; }

  Answer ask_identity_policies() {
    Answer answer;
    sources_.for_each_identity_policy([&](const Policy& policy, const auto& name) { ask(answer, policy, kIdentityType, name); });
    return answer;
  }

  Answer ask_boundary() {
    Answer answer;
    const auto arn = sources_.boundary();
    if (arn.empty()) return answer;
    const auto* boundary = identities_.find_policy(arn);
    answer.asked = true;
    if (boundary) ask(answer, *boundary->document(), kBoundaryType, [&] { return std::string(arn); });
    return answer;
  }

  Answer ask_session_policies() {
    Answer answer;
    for (const auto& text : request_.principal.session_policies) {
      const auto policy = session_policy(text);
      // They were checked when the session was made; one that can't be read any more grants nothing.
      if (!policy) return unreadable(kSessionType);
      ask(answer, *policy, kSessionType, [&] { return text.starts_with("arn:") ? text : std::string("session policy"); });
    }
    return answer;
  }

  PolicyPtr session_policy(const std::string& text) const {
    if (text.starts_with("arn:")) {
      const auto* managed = identities_.find_policy(text);
      return managed ? managed->document() : nullptr;
    }
    auto policy = Policy::parse(text, PolicyKind::identity);
    return policy ? *std::move(policy) : nullptr;
  }

  Answer ask_resource_policy() {
    PolicyPtr policy = request_.compiled_resource_policy;
    if (!policy && request_.resource_policy) {
      auto parsed = Policy::parse(*request_.resource_policy, PolicyKind::resource);
      if (!parsed) return unreadable(kResourceType);
      policy = *std::move(parsed);
    }
    Answer answer;
    if (!policy) return answer;
    ask(answer, *policy, kResourceType, [this] { return request_.resource_policy_name; });
    if (answer.allowed) resource_names_role_ = names_role(policy->statements()[answer.allowed->index]);
    return answer;
  }

  bool names_role(const Statement& statement) const {
    bool role_only = !statement.not_principal;
    for (const auto& entry : statement.principals) {
      const bool direct = entry.mentions(request_.principal) == Mention::directly;
      if (direct && entry.value != request_.principal.role_arn && entry.kind != PrincipalEntry::Kind::unique_id)
        role_only = false;
    }
    return role_only;
  }

  Answer unreadable(std::string_view type) {
    broken_ = true;
    broken_type_ = type;
    Answer answer;
    answer.asked = true;
    return answer;
  }

  template <class Name>
  void ask(Answer& answer, const Policy& policy, std::string_view type, const Name& name) {
    answer.asked = true;
    if (answer.denied) return;
    const PolicyAnswer said = evaluate(policy, request_.action, request_.resource, context_);
    const auto reference = [&](std::size_t index) {
      return StatementRef{name(), std::string(type), policy.statements()[index].sid, index};
    };
    if (said.denied_by) answer.denied = reference(*said.denied_by);
    if (said.allowed_by && !answer.allowed) {
      answer.allowed = reference(*said.allowed_by);
      answer.mention = said.mention;
    }
  }

  StatementRef open_to_all() const {
    return {request_.resource_policy_name + ": none, open to all", std::string(kResourceType), "", 0};
  }

  static Decision allowed(StatementRef by) {
    Decision decision;
    decision.reason = Decision::Reason::allowed;
    decision.determining.push_back(std::move(by));
    decision.denying_policy_type.clear();
    return decision;
  }

  static Decision denied(StatementRef by) {
    Decision decision;
    decision.reason = Decision::Reason::explicitly_denied;
    decision.denying_policy_type = by.policy_type;
    decision.determining.push_back(std::move(by));
    return decision;
  }

  static Decision implicitly_denied(std::string_view type) {
    Decision decision;
    decision.denying_policy_type = type;
    return decision;
  }

  const Identities& identities_;
  const AccessRequest& request_;
  PolicySources sources_;
  RequestContext context_;
  bool resource_names_role_ = false;
  bool broken_ = false;
  std::string_view broken_type_;
};

}  // namespace

Decision authorize(const Identities& identities, const AccessRequest& request) { return Judgement(identities, request).decide(); }

std::string denial_message(const AccessRequest& request, const Decision& decision) {
  const auto& principal = request.principal;
  std::string text = fmt::format("User: {} is not authorized to perform: {}",
                                 principal.kind == Principal::Kind::anonymous ? "anonymous" : principal.arn, request.action);
  if (request.resource != "*") text += " on resource: " + request.resource;
  const auto& type = decision.denying_policy_type;
  const bool vowel = !type.empty() && std::string_view("aeiou").contains(type.front());
  if (decision.reason == Decision::Reason::explicitly_denied)
    return text + " with an explicit deny in " + (vowel ? "an " : "a ") + type;
  return text + fmt::format(" because no {} allows the {} action", type, request.action);
}

}  // namespace berth::credentials

// authorize(): may this principal do this action on this resource? Pure: identities and conditions come in, a Decision that
// explains itself comes out.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "credentials/identities.hpp"
#include "credentials/principal.hpp"

namespace berth::credentials {

struct AccessRequest {
  Principal principal;
  std::string action;          // "ecs:RunTask"
  std::string resource = "*";  // an ARN, or "*"
  // Condition keys beyond those that follow from the principal and `now`; keys ignore case, values may be several.
  std::multimap<std::string, std::string> conditions;
  // The resource's own policy, where it has one. `resource_policy_decides`: without an identity policy's allow the resource
  // policy's suffices (same account), and with no resource policy at all access is as `open_without_resource_policy` says
  // (EFS: a file system without a policy is open to every client).
  std::optional<std::string> resource_policy;
  PolicyPtr compiled_resource_policy;                    // the same, parsed once by its keeper; goes before `resource_policy`
  std::string resource_policy_name = "resource policy";  // what StatementRef calls it: "file system policy"
  bool open_without_resource_policy = false;
  TimePoint now{};
};

// Where a statement stands: which policy, which statement of it.
struct StatementRef {
  std::string policy;       // "inline policy `share` of role `writer`", "arn:aws:iam::...:policy/x", "file system policy"
  std::string policy_type;  // "identity-based policy", "resource-based policy", "session policy", "permissions boundary"
  std::string sid;          // may be empty
  std::size_t index = 0;    // from 0
};

struct Decision {
  enum class Reason { allowed, implicitly_denied, explicitly_denied };
  Reason reason = Reason::implicitly_denied;
  std::vector<StatementRef> determining;  // read by error texts, `berth` and tests alike
  // What AWS names in the error text: "identity-based policy", "session policy", ...
  std::string denying_policy_type = "identity-based policy";
  bool allowed() const { return reason == Reason::allowed; }
};

Decision authorize(const Identities& identities, const AccessRequest& request);

// AWS's sentence: "User: ARN is not authorized to perform: ecs:RunTask on resource: ARN because no identity-based policy
// allows the ecs:RunTask action".
std::string denial_message(const AccessRequest& request, const Decision& decision);

}  // namespace berth::credentials

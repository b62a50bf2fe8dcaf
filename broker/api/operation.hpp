// The table that a service is: one row an operation. The row names the IAM action and the resources, so that no operation
// exists without authorization; the dispatcher (dispatcher.hpp) authenticates, authorizes, decodes, calls and encodes.
#pragma once

#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "broker/base/clock.hpp"
#include "credentials/principal.hpp"

namespace berth::api {

using Json = nlohmann::json;

// An error as the service's API names it. `code` is the shape's name or its wire code, e.g. "ClusterNotFoundException",
// "FileSystemNotFound", "NoSuchEntity"; status and wire form follow from the shape table and the protocol.
struct ApiError {
  std::string code;
  std::string message;
  // Further members of the error's shape, e.g. {"FileSystemId": "fs-..."}; null where it has none.
  std::shared_ptr<const Json> members;
};

template <class T>
using Outcome = std::expected<T, ApiError>;

inline std::unexpected<ApiError> refuse(std::string code, std::string message) {
  return std::unexpected<ApiError>(ApiError{std::move(code), std::move(message), nullptr});
}

// Who calls, when, and by which way.
struct CallContext {
  credentials::Principal caller;
  TimePoint now;
  std::string request_id;  // a UUID
  std::string region;      // from the credential scope
  std::string account;     // Berth's account; the caller's is caller.account
  std::string source_ip;
  std::string user_agent;
  bool secure_transport = false;
};

// One resource that an operation touches, with the condition keys that the call and the resource bring.
struct ResourceAccess {
  std::string arn = "*";                               // "*" where the action has no resource type
  std::multimap<std::string, std::string> conditions;  // e.g. {"ecs:cluster", arn}, {"aws:ResourceTag/team", "x"}
  std::optional<std::string> action;                   // a dependent action (iam:PassRole) in place of the row's
  std::optional<std::string> resource_policy;          // the resource's own policy document, where it has one
};

// The resources of a call, from its decoded input; none is the same as `*`. An ApiError is answered as it is (e.g. a malformed
// ARN).
using ResourcesOf = std::function<Outcome<std::vector<ResourceAccess>>(const CallContext&, const Json& input)>;

// `input` has been validated against the operation's shape: required members are there, types and limits are right, blobs are
// base64 text, time stamps are numbers (epoch seconds). The answer names members as the shape does (not the wire).
using Handler = std::function<Outcome<Json>(const CallContext&, const Json& input)>;

struct Operation {
  std::string name;    // "RunTask"
  std::string action;  // "ecs:RunTask"
  ResourcesOf resources;
  Handler handle;
  // sts:GetCallerIdentity alone: AWS answers it whatever the policies say.
  bool needs_no_permission = false;
};

struct Service {
  std::string model;                       // the shape table's name: "ecs", "efs", "iam", "sts", "ec2", "autoscaling"
  std::vector<std::string> signing_names;  // the credential scope's service: "ecs"; "elasticfilesystem" for efs
  std::vector<Operation> operations;       // operations of the table that are not here answer NotImplemented, saying so
};

// For rows whose action takes no resource.
ResourcesOf any_resource();

}  // namespace berth::api

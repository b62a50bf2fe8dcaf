// Principal: who signed a request, as policies see it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "broker/base/clock.hpp"

namespace berth::credentials {

struct Principal {
  enum class Kind {
    user,          // a long-term key of an IAM user
    assumed_role,  // temporary credentials of a role
    service,       // Berth itself acting as an AWS service, e.g. ecs-tasks.amazonaws.com (role trust policies only)
    anonymous,     // nobody signed: a mount without IAM authorization; only `"Principal": "*"` speaks of it
  };
  Kind kind = Kind::user;
  std::string account;    // 12 digits
  std::string arn;        // arn:aws:iam::A:user/N, arn:aws:sts::A:assumed-role/R/S; the service's host name for `service`
  std::string unique_id;  // AIDA...; AROA...:session; aws:userid
  std::string name;       // the user's or the role's name
  std::string access_key_id;
  // Assumed roles only:
  std::string role_arn;  // arn:aws:iam::A:role/R
  std::string session_name;
  std::map<std::string, std::string> session_tags;  // aws:PrincipalTag/...
  std::vector<std::string> session_policies;        // passed with AssumeRole: documents, or ARNs of managed policies
  TimePoint issued_at{};
  TimePoint expires_at = TimePoint::max();
};

}  // namespace berth::credentials

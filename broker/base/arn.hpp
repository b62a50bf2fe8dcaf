// Amazon Resource Names: arn:partition:service:region:account:resource.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace berth {

struct Arn {
  std::string partition = "aws";
  std::string service;
  std::string region;    // empty for global services
  std::string account;   // empty for S3
  std::string resource;  // may hold `:` and `/`

  std::string str() const;
  // The part of `resource` behind the first `/` or `:`; all of it where there is neither.
  std::string_view resource_id() const;
  // The part before it: `cluster`, `task`, `file-system`; empty where there is none.
  std::string_view resource_type() const;
};

// nullopt unless the text has the six parts.
std::optional<Arn> parse_arn(std::string_view text);

}  // namespace berth

// RequestContext: the condition keys of one request and their values, as an evaluation asks for them. It looks into what the
// caller owns and copies next to nothing, so it must not outlive the request.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/base/clock.hpp"
#include "credentials/principal.hpp"

namespace berth::credentials {

// `service:Name`, `aws:PrincipalTag/team`: the shape, not the meaning.
bool is_condition_key(std::string_view key);

class RequestContext {
 public:
  using Conditions = std::multimap<std::string, std::string>;
  using Tags = std::map<std::string, std::string>;

  // `principal_tags`: the tags of the user or role; session tags go before them.
  RequestContext(const Principal& principal, const Tags* principal_tags, const Conditions& conditions, TimePoint now);
  RequestContext(const RequestContext&) = delete;
  RequestContext& operator=(const RequestContext&) = delete;

  // All values of the key (in lower case), in no order; replaces what `values` held.
  void values_of(std::string_view key, std::vector<std::string_view>& values) const;
  // The value, where there is exactly one.
  std::optional<std::string_view> single_value(std::string_view key) const;

  const Principal& principal() const { return principal_; }

 private:
  std::optional<std::string_view> principal_value(std::string_view key) const;
  std::optional<std::string_view> tag(std::string_view name) const;

  const Principal& principal_;
  const Tags* principal_tags_;
  const Conditions& conditions_;
  std::string now_;
  std::string now_epoch_;
  std::string issued_;
};

}  // namespace berth::credentials

#include "credentials/policy/context.hpp"

#include <algorithm>
#include <cctype>

#include "credentials/policy/pattern.hpp"

namespace berth::credentials {

namespace {

constexpr std::string_view kPrincipalTag = "aws:principaltag/";

bool is_word(std::string_view text, std::string_view also) {
  return !text.empty() &&
         std::ranges::all_of(text, [also](char c) { return std::isalnum(static_cast<unsigned char>(c)) || also.contains(c); });
}

std::optional<std::string_view> present(std::string_view value) {
  if (value.empty()) return std::nullopt;
  return value;
}

std::string_view principal_type(const Principal& principal) {
  switch (principal.kind) {
    case Principal::Kind::user: return "User";
    case Principal::Kind::assumed_role: return "AssumedRole";
    case Principal::Kind::service: return "Service";
    case Principal::Kind::anonymous: return "Anonymous";
  }
  return "";
}

}  // namespace

bool is_condition_key(std::string_view key) {
  const auto colon = key.find(':');
  if (colon == std::string_view::npos || !is_word(key.substr(0, colon), "-.")) return false;
  const auto rest = key.substr(colon + 1);
  const auto slash = rest.find('/');
  if (slash == std::string_view::npos) return is_word(rest, "-_.:");
  // What stands behind the slash is a tag's name: nearly anything.
  const auto tag = rest.substr(slash + 1);
  return is_word(rest.substr(0, slash), "-_.:") && !tag.empty() && tag.size() <= 128 &&
         tag.find_first_of("${}*?") == std::string_view::npos;
}

RequestContext::RequestContext(const Principal& principal, const Tags* principal_tags, const Conditions& conditions,
                               TimePoint now)
    : principal_(principal),
      principal_tags_(principal_tags),
      conditions_(conditions),
      now_(to_iso8601(now)),
      now_epoch_(std::to_string(std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count())) {
  if (principal.issued_at != TimePoint{}) issued_ = to_iso8601(principal.issued_at);
}

void RequestContext::values_of(std::string_view key, std::vector<std::string_view>& values) const {
  values.clear();
  // What the principal is, it can't be told otherwise by the request's own keys.
  if (const auto value = principal_value(key)) {
    values.push_back(*value);
    return;
  }
  for (const auto& [name, value] : conditions_) {
    if (equal_ignoring_case(name, key)) values.push_back(value);
  }
}

std::optional<std::string_view> RequestContext::single_value(std::string_view key) const {
  std::vector<std::string_view> values;
  values_of(key, values);
  if (values.size() != 1) return std::nullopt;
  return values.front();
}

std::optional<std::string_view> RequestContext::tag(std::string_view name) const {
  // Tag names are compared without case here, as keys are.
  const auto find = [name](const Tags& tags) -> std::optional<std::string_view> {
    for (const auto& [key, value] : tags) {
      if (equal_ignoring_case(key, name)) return value;
    }
    return std::nullopt;
  };
  if (const auto value = find(principal_.session_tags)) return value;
  return principal_tags_ ? find(*principal_tags_) : std::nullopt;
}

std::optional<std::string_view> RequestContext::principal_value(std::string_view key) const {
  if (!key.starts_with("aws:")) return std::nullopt;
  if (key.starts_with(kPrincipalTag)) return tag(key.substr(kPrincipalTag.size()));
  const auto name = key.substr(4);
  if (name == "currenttime") return now_;
  if (name == "epochtime") return now_epoch_;
  if (name == "principaltype") return principal_type(principal_);
  if (principal_.kind == Principal::Kind::service) {
    if (name == "principalisawsservice") return "true";
    if (name == "principalservicename") return principal_.arn;
    return std::nullopt;
  }
  if (name == "principalisawsservice") return "false";
  if (principal_.kind == Principal::Kind::anonymous) return std::nullopt;
  // For a role session aws:PrincipalArn is the role, not the session.
  if (name == "principalarn") return present(principal_.role_arn.empty() ? principal_.arn : principal_.role_arn);
  if (name == "principalaccount") return present(principal_.account);
  if (name == "userid") return present(principal_.unique_id);
  if (name == "username" && principal_.kind == Principal::Kind::user) return present(principal_.name);
  if (name == "tokenissuetime") return present(issued_);
  return std::nullopt;
}

}  // namespace berth::credentials

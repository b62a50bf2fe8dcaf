// evaluate(): what one policy says to one request. Pure.
#pragma once

#include <optional>
#include <string_view>

#include "credentials/policy/context.hpp"
#include "credentials/policy/policy.hpp"
#include "credentials/policy/statement.hpp"

namespace berth::credentials {

struct PolicyAnswer {
  std::optional<std::size_t> denied_by;   // the first Deny statement that applies
  std::optional<std::size_t> allowed_by;  // the first Allow statement that applies; a direct mention before one of the account
  Mention mention = Mention::none;        // how allowed_by speaks of the principal (resource and trust policies)
};

PolicyAnswer evaluate(const Policy& policy, std::string_view action, std::string_view resource, const RequestContext& context);

}  // namespace berth::credentials

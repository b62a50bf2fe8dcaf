// Pages of a list answer. Inside the ECS service only.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "broker/base/encoding.hpp"
#include "broker/services/ecs/errors.hpp"

namespace berth::services::ecs {

// `values` in the order of the answer, each once; their order is `before`. A token holds the last page's last value, so that
// what comes and goes in between neither shifts nor doubles the others. ECS gives 100 a page at most.
template <class Before = std::less<>>
api::Outcome<api::Json> write_page(const std::vector<std::string>& values, const api::Json& input, const char* list,
                                   Before before = {}) {
  constexpr int kPageMax = 100;
  const auto wanted = input.value("maxResults", kPageMax);
  if (wanted < 1 || wanted > kPageMax) return invalid("maxResults must be between 1 and {}.", kPageMax);
  auto from = values.begin();
  if (const auto token = input.find("nextToken"); token != input.end()) {
    const auto last = base64_decode(token->template get<std::string>());
    if (!last || last->empty()) return invalid("Invalid token: it is not one that this operation has answered.");
    from = std::upper_bound(values.begin(), values.end(), *last, before);
  }
  const auto to = from + std::min<std::ptrdiff_t>(wanted, values.end() - from);
  api::Json answer{{list, std::vector<std::string>(from, to)}};
  if (to != values.end()) answer["nextToken"] = base64_encode(*(to - 1));
  return answer;
}

}  // namespace berth::services::ecs

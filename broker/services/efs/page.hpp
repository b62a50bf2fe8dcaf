// Pages of a list answer. Inside the EFS service only.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "broker/api/operation.hpp"
#include "broker/base/encoding.hpp"

namespace berth::services::efs {

struct PageMembers {
  const char* list;
  const char* size;         // of the input: how many at most
  const char* token;        // of the input: where the last page ended
  const char* next;         // of the answer
  bool echo_token = false;  // the older operations answer the Marker that they were given
};

constexpr PageMembers by_marker(const char* list) { return {list, "MaxItems", "Marker", "NextMarker", true}; }
constexpr PageMembers by_token(const char* list) { return {list, "MaxResults", "NextToken", "NextToken", false}; }

// `keys` are sorted. A token is the last page's last key, so that what comes and goes in between neither shifts nor doubles
// the others. EFS gives 100 a page at most.
template <class Describe>
api::Outcome<api::Json> write_page(const std::vector<std::string>& keys, const api::Json& input, const PageMembers& members,
                                   Describe describe_key) {
  constexpr std::size_t kPageMax = 100;
  auto answer = api::Json::object();
  auto from = keys.begin();
  if (const auto token = input.find(members.token); token != input.end()) {
    const auto last = base64_decode(token->get<std::string>());
    if (!last) return api::refuse("BadRequest", std::string("invalid ") + members.token);
    from = std::upper_bound(keys.begin(), keys.end(), *last);
    if (members.echo_token) answer[members.token] = *token;
  }
  const auto size = std::min<std::size_t>(input.value(members.size, kPageMax), kPageMax);
  const auto to = from + static_cast<std::ptrdiff_t>(std::min(size, static_cast<std::size_t>(keys.end() - from)));
  auto& list = answer[members.list] = api::Json::array();
  std::transform(from, to, std::back_inserter(list), describe_key);
  if (to != keys.end()) answer[members.next] = base64_encode(*(to - 1));
  return answer;
}

}  // namespace berth::services::efs

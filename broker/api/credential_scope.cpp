#include "broker/api/credential_scope.hpp"

#include <algorithm>
#include <vector>

#include "broker/protocol/form.hpp"

namespace berth::api {

namespace {

// AKID/20261123/us-east-1/ecs/aws4_request
std::string service_in(std::string_view credential) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto slash = credential.find('/');
    parts.push_back(credential.substr(0, slash));
    if (slash == std::string_view::npos) break;
    credential.remove_prefix(slash + 1);
  }
  return parts.size() == 5 ? std::string(parts[3]) : std::string{};
}

std::string query_parameter(const http::Request& request, std::string_view name) {
  const auto parameters = protocol::parse_form(request.query());
  const std::string* found = parameters ? protocol::find_parameter(*parameters, name) : nullptr;
  return found ? *found : std::string{};
}

}  // namespace

std::string signed_service(const http::Request& request) {
  const std::string* header = http::find_header(request.headers, "Authorization");
  if (header == nullptr) return service_in(query_parameter(request, "X-Amz-Credential"));
  constexpr std::string_view kMark = "Credential=";
  const auto at = header->find(kMark);
  if (at == std::string::npos) return {};
  const std::string_view rest = std::string_view(*header).substr(at + kMark.size());
  return service_in(rest.substr(0, rest.find_first_of(", ")));
}

bool has_signature(const http::Request& request) {
  return http::find_header(request.headers, "Authorization") != nullptr || !query_parameter(request, "X-Amz-Credential").empty();
}

}  // namespace berth::api

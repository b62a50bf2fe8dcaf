#include "broker/base/arn.hpp"

#include <array>

#include <fmt/core.h>

namespace berth {

std::string Arn::str() const { return fmt::format("arn:{}:{}:{}:{}:{}", partition, service, region, account, resource); }

std::string_view Arn::resource_id() const {
  const std::size_t at = resource.find_first_of("/:");
  return at == std::string::npos ? std::string_view{resource} : std::string_view{resource}.substr(at + 1);
}

std::string_view Arn::resource_type() const {
  const std::size_t at = resource.find_first_of("/:");
  return at == std::string::npos ? std::string_view{} : std::string_view{resource}.substr(0, at);
}

std::optional<Arn> parse_arn(std::string_view text) {
  std::array<std::string_view, 5> parts;
  for (std::string_view& part : parts) {
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    part = text.substr(0, colon);
    text.remove_prefix(colon + 1);
  }
  if (parts[0] != "arn" || parts[1].empty() || parts[2].empty() || text.empty()) return std::nullopt;
  return Arn{std::string{parts[1]}, std::string{parts[2]}, std::string{parts[3]}, std::string{parts[4]}, std::string{text}};
}

}  // namespace berth

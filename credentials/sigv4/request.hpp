// What signing looks at: an HTTP request as it is on the wire. Plain views, nothing is copied.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace berth::credentials {

using HeaderList = std::vector<std::pair<std::string, std::string>>;

struct SignedRequest {
  std::string_view method;
  std::string_view path;   // as it arrived: percent-encoded, before the `?`
  std::string_view query;  // as it arrived: behind the `?`, without it
  std::span<const std::pair<std::string, std::string>> headers;
  std::string_view body;
  // The body's hex SHA-256, where the body itself is not here (streamed); else it is computed from `body`.
  std::optional<std::string> body_sha256;
};

}  // namespace berth::credentials

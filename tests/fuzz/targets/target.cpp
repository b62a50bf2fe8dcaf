#include "tests/fuzz/targets/target.hpp"

#include <array>

namespace berth::fuzz {

std::span<const Target> targets() {
  static constexpr std::array kTargets{
      Target{"policy", policy},
      Target{"signature", signature},
      Target{"codec", codec},
      Target{"cluster_query", cluster_query},
      Target{"text", text},
      Target{"oci_image", oci_image},
      Target{"fuse_requests", fuse_requests},
  };
  return kTargets;
}

std::string_view take_line(std::string_view& input) {
  const std::size_t end = input.find('\n');
  const std::string_view line = input.substr(0, end);
  input.remove_prefix(end == std::string_view::npos ? input.size() : end + 1);
  return line;
}

http::Request take_request(std::string_view& input) {
  http::Request request;
  const std::string_view first = take_line(input);
  const std::size_t space = first.find(' ');
  request.method = first.substr(0, space);
  request.target = space == std::string_view::npos ? "/" : first.substr(space + 1);
  while (!input.empty()) {
    const std::string_view line = take_line(input);
    if (line.empty()) break;
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    request.headers.emplace_back(line.substr(0, colon), line.substr(colon + 1));
  }
  request.body = input;
  return request;
}

}  // namespace berth::fuzz

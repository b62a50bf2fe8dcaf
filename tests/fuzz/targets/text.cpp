// ARNs, times and encodings: what can be read can be written again, and the other way round.
#include "broker/base/arn.hpp"
#include "broker/base/clock.hpp"
#include "broker/base/encoding.hpp"
#include "broker/protocol/pattern.hpp"
#include "broker/protocol/time_format.hpp"
#include "broker/protocol/uri_template.hpp"
#include "broker/protocol/xml.hpp"
#include "tests/fuzz/targets/target.hpp"

namespace berth::fuzz {
namespace {

void encodings(std::string_view input) {
  require(hex_decode(hex_encode(input)) == input, "hex comes back");
  require(base64_decode(base64_encode(input)) == input, "base64 comes back");
  require(percent_decode(percent_encode(input)) == input, "percent-encoding comes back");
  if (const auto bytes = base64_decode(input)) require(base64_encode(*bytes) == input, "base64 has one form only");
  if (const auto bytes = percent_decode(input, true))
    require(percent_decode(percent_encode(*bytes), true) == bytes, "a form value comes back");
  require(protocol::xml_escape(input).find_first_of("<>") == std::string::npos, "no markup in text");
}

void times(std::string_view input) {
  if (const auto time = parse_time(input)) {
    const auto again = parse_time(to_iso8601(*time));
    require(again && std::chrono::floor<std::chrono::seconds>(*time) == *again, "a time comes back, to the second");
  }
  if (const auto time = protocol::parse_http_date(input))
    require(protocol::parse_http_date(protocol::to_http_date(*time)) == time, "an HTTP date comes back");
}

}  // namespace

void text(std::string_view input) {
  if (const auto arn = parse_arn(input)) require(arn->str() == input, "an ARN comes back");
  encodings(input);
  times(input);
  const std::string_view path = input;
  (void)protocol::match_uri("/2015-02-01/file-systems/{FileSystemId}/policy", path, path);
  std::string_view rest = input;
  const std::string pattern(take_line(rest));
  if (pattern.size() <= 64) (void)protocol::Pattern(pattern).matches(rest);
}

}  // namespace berth::fuzz

// A rest operation's URI: `/2015-02-01/file-systems/{FileSystemId}/policy`, perhaps with `?literal=x`.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace berth::protocol {

struct UriMatch {
  std::map<std::string, std::string, std::less<>> labels;  // percent-decoded
  int literals = 0;  // segments that matched as they are: of two templates that fit, the one with more is meant
};

// `path` and `query` as on the wire. A trailing slash makes no difference; `{label+}` takes all the rest.
std::optional<UriMatch> match_uri(std::string_view uri_template, std::string_view path, std::string_view query);

}  // namespace berth::protocol

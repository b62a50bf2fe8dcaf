// Session tokens: temporary credentials that carry themselves. The token holds the session, sealed with AES-256-GCM under a
// key of the state directory: nothing is stored, and every token still opens after a restart. Immutable and thread-safe.
#pragma once

#include <chrono>
#include <expected>
#include <map>
#include <string>
#include <string_view>

#include "broker/base/clock.hpp"
#include "broker/base/error.hpp"
#include "broker/base/random.hpp"
#include "broker/base/secret.hpp"
#include "credentials/principal.hpp"

namespace berth::credentials {

struct TemporaryCredentials {
  std::string access_key_id;  // ASIA...
  Secret secret;
  std::string token;
  TimePoint expiration{};
};

// What a token says.
struct Session {
  Principal principal;  // access_key_id, issued_at and expires_at are the token's
  Secret secret;
  std::map<std::string, std::string> extra;  // ours, e.g. {"task_id", ...}
};

enum class TokenError { damaged, expired };

class SessionTokens {
 public:
  // 32 bytes; CHECKed.
  explicit SessionTokens(Secret key);
  static Secret make_key(Random& random);

  // Credentials for `principal` from `now` on, good for `duration`. The principal's access_key_id and times are set here.
  TemporaryCredentials issue(Principal principal, std::chrono::seconds duration, TimePoint now, Random& random,
                             std::map<std::string, std::string> extra = {}) const;
  std::expected<Session, TokenError> open(std::string_view token, TimePoint now) const;

 private:
  Secret key_;
};

}  // namespace berth::credentials

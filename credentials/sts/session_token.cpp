#include "credentials/sts/session_token.hpp"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "broker/base/check.hpp"
#include "broker/base/encoding.hpp"
#include "credentials/crypto.hpp"
#include "credentials/identities.hpp"
#include "credentials/secret_key.hpp"

namespace berth::credentials {

namespace {

using Json = nlohmann::json;

// A token is base64(version, nonce, sealed JSON). The version is bound to the seal.
constexpr std::string_view kVersion = "\x01";

std::string random_bytes(Random& random, std::size_t count) {
  std::string bytes(count, '\0');
  random.fill(std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

std::string encode(const Session& session) {
  const Principal& principal = session.principal;
  const Json json = {
      {"kind", principal.kind == Principal::Kind::user ? "user" : "role"},
      {"account", principal.account},
      {"arn", principal.arn},
      {"id", principal.unique_id},
      {"name", principal.name},
      {"key", principal.access_key_id},
      {"role", principal.role_arn},
      {"session", principal.session_name},
      {"tags", principal.session_tags},
      {"policies", principal.session_policies},
      {"issued", principal.issued_at.time_since_epoch().count()},
      {"expires", principal.expires_at.time_since_epoch().count()},
      {"secret", std::string(session.secret.reveal())},
      {"extra", session.extra},
  };
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Throws where the text is not what encode() makes: then the seal was ours, but of another version of Berth.
Session decode(std::string_view text) {
  const Json json = Json::parse(text);
  Session session;
  Principal& principal = session.principal;
  principal.kind = json.at("kind") == "user" ? Principal::Kind::user : Principal::Kind::assumed_role;
  json.at("account").get_to(principal.account);
  json.at("arn").get_to(principal.arn);
  json.at("id").get_to(principal.unique_id);
  json.at("name").get_to(principal.name);
  json.at("key").get_to(principal.access_key_id);
  json.at("role").get_to(principal.role_arn);
  json.at("session").get_to(principal.session_name);
  json.at("tags").get_to(principal.session_tags);
  json.at("policies").get_to(principal.session_policies);
  principal.issued_at = TimePoint(std::chrono::microseconds(json.at("issued").get<std::int64_t>()));
  principal.expires_at = TimePoint(std::chrono::microseconds(json.at("expires").get<std::int64_t>()));
  session.secret = Secret(json.at("secret").get<std::string>());
  json.at("extra").get_to(session.extra);
  return session;
}

}  // namespace

SessionTokens::SessionTokens(Secret key) : key_(std::move(key)) { BERTH_CHECK(key_.reveal().size() == kSealKeyBytes); }

Secret SessionTokens::make_key(Random& random) { return Secret(random_bytes(random, kSealKeyBytes)); }

TemporaryCredentials SessionTokens::issue(Principal principal, std::chrono::seconds duration, TimePoint now, Random& random,
                                          std::map<std::string, std::string> extra) const {
  Session session{std::move(principal), make_secret_key(random), std::move(extra)};
  session.principal.access_key_id = make_unique_id("ASIA", random);
  session.principal.issued_at = now;
  // Whole seconds, as the answer shows it: what the client is told is when the token ends.
  session.principal.expires_at = std::chrono::floor<std::chrono::seconds>(now) + duration;
  const std::string nonce = random_bytes(random, kSealNonceBytes);
  const Secret plain(encode(session));
  std::string token(kVersion);
  token += nonce;
  token += seal(key_, nonce, kVersion, plain.reveal());
  return {session.principal.access_key_id, session.secret, base64_encode(token), session.principal.expires_at};
}

std::expected<Session, TokenError> SessionTokens::open(std::string_view token, TimePoint now) const {
  const auto bytes = base64_decode(token);
  if (!bytes || bytes->size() < kVersion.size() + kSealNonceBytes || !bytes->starts_with(kVersion))
    return std::unexpected(TokenError::damaged);
  const auto nonce = std::string_view(*bytes).substr(kVersion.size(), kSealNonceBytes);
  const auto plain = unseal(key_, nonce, kVersion, std::string_view(*bytes).substr(kVersion.size() + kSealNonceBytes));
  if (!plain) return std::unexpected(TokenError::damaged);
  try {
    Session session = decode(plain->reveal());
    if (now >= session.principal.expires_at) return std::unexpected(TokenError::expired);
    return session;
  } catch (const Json::exception&) {
    return std::unexpected(TokenError::damaged);
  }
}

}  // namespace berth::credentials

// An account with a user, a few roles and a clock that stands still.
#pragma once

#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

#include "credentials/identities.hpp"
#include "credentials/sts/session_token.hpp"

namespace berth::credentials {

inline const std::string kAccount = "123456789012";
inline const TimePoint kNow = *parse_time("2026-11-23T05:15:02Z");

inline PolicyPtr policy(std::string_view text, PolicyKind kind = PolicyKind::identity) {
  auto parsed = Policy::parse(text, kind);
  if (!parsed) throw std::runtime_error(parsed.error().message);
  return *std::move(parsed);
}

inline PolicyPtr trust(std::string_view principal) {
  return policy(std::string(R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":)") +
                    std::string(principal) + "}]}",
                PolicyKind::trust);
}

class World : public ::testing::Test {
 protected:
  World() : identities(Identities::bootstrap(kAccount, random, kNow)), tokens(SessionTokens::make_key(random)) {
    identities.take_changes();
  }

  const Role& add_role(const std::string& name, PolicyPtr trust_policy) {
    Role role;
    role.name = name;
    role.id = make_unique_id("AROA", random);
    role.created = kNow;
    role.trust_policy = std::move(trust_policy);
    EXPECT_TRUE(identities.create(std::move(role)));
    return *identities.find_role(name);
  }

  Principal user(const std::string& name) const {
    return {.kind = Principal::Kind::user,
            .account = kAccount,
            .arn = "arn:aws:iam::" + kAccount + ":user/" + name,
            .unique_id = "AIDAX",
            .name = name};
  }

  SeededRandom random{7};
  Identities identities;
  SessionTokens tokens;
};

}  // namespace berth::credentials

#include "broker/base/encoding.hpp"
#include "tests/unit/credentials/world.hpp"

namespace berth::credentials {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

class SessionToken : public World {
 protected:
  Principal principal() const {
    return {.kind = Principal::Kind::assumed_role,
            .account = kAccount,
            .arn = "arn:aws:sts::" + kAccount + ":assumed-role/writer/s",
            .unique_id = "AROAX:s",
            .name = "writer",
            .role_arn = "arn:aws:iam::" + kAccount + ":role/writer",
            .session_name = "s",
            .session_tags = {{"team", "rot\"blau"}},
            .session_policies = {"{}"}};
  }
};

TEST_F(SessionToken, OpensToTheSessionItWasMadeFor) {
  const auto issued = tokens.issue(principal(), hours(1), kNow, random, {{"task_id", "t-1"}});
  EXPECT_TRUE(issued.access_key_id.starts_with("ASIA"));
  EXPECT_EQ(issued.access_key_id.size(), 20U);
  EXPECT_EQ(issued.secret.reveal().size(), 40U);
  const auto session = tokens.open(issued.token, kNow);
  ASSERT_TRUE(session);
  EXPECT_EQ(session->principal.arn, principal().arn);
  EXPECT_EQ(session->principal.session_tags, principal().session_tags);
  EXPECT_EQ(session->principal.session_policies, principal().session_policies);
  EXPECT_EQ(session->principal.access_key_id, issued.access_key_id);
  EXPECT_EQ(session->principal.expires_at, issued.expiration);
  EXPECT_EQ(session->principal.issued_at, kNow);
  EXPECT_EQ(session->secret.reveal(), issued.secret.reveal());
  EXPECT_EQ(session->extra.at("task_id"), "t-1");
}

TEST_F(SessionToken, DoesNotShowWhatItHolds) {
  const auto issued = tokens.issue(principal(), hours(1), kNow, random);
  const auto bytes = base64_decode(issued.token);
  ASSERT_TRUE(bytes);
  EXPECT_EQ(bytes->find("writer"), std::string::npos);
  EXPECT_EQ(bytes->find(issued.secret.reveal()), std::string::npos);
}

TEST_F(SessionToken, TwoTokensOfOnePrincipalDiffer) {
  EXPECT_NE(tokens.issue(principal(), hours(1), kNow, random).token, tokens.issue(principal(), hours(1), kNow, random).token);
}

TEST_F(SessionToken, NoByteOfItCanBeChanged) {
  const auto issued = tokens.issue(principal(), hours(1), kNow, random);
  const auto bytes = *base64_decode(issued.token);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    auto changed = bytes;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    const auto session = tokens.open(base64_encode(changed), kNow);
    ASSERT_FALSE(session) << "byte " << i;
    EXPECT_EQ(session.error(), TokenError::damaged);
  }
}

TEST_F(SessionToken, CutOrForeignTextIsDamaged) {
  const auto issued = tokens.issue(principal(), hours(1), kNow, random);
  for (const std::string& text :
       {std::string(), std::string("x"), std::string("AQ=="), issued.token.substr(0, 24), issued.token + "A"}) {
    const auto session = tokens.open(text, kNow);
    ASSERT_FALSE(session) << text;
    EXPECT_EQ(session.error(), TokenError::damaged);
  }
}

TEST_F(SessionToken, AnotherKeyDoesNotOpenIt) {
  const auto issued = tokens.issue(principal(), hours(1), kNow, random);
  const SessionTokens others(SessionTokens::make_key(random));
  EXPECT_FALSE(others.open(issued.token, kNow));
}

TEST_F(SessionToken, EndsAtItsExpiration) {
  const auto issued = tokens.issue(principal(), hours(1), kNow, random);
  EXPECT_TRUE(tokens.open(issued.token, kNow + hours(1) - seconds(1)));
  const auto late = tokens.open(issued.token, kNow + hours(1));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error(), TokenError::expired);
}

}  // namespace
}  // namespace berth::credentials

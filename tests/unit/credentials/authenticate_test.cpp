#include "credentials/authenticate.hpp"

#include "credentials/sigv4/sign.hpp"
#include "credentials/sts/assume_role.hpp"
#include "tests/unit/credentials/world.hpp"

namespace berth::credentials {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

class Authenticate : public World {
 protected:
  SigningCredentials administrator() const {
    const auto owner = identities.administrator();
    return {owner.key->id, owner.key->secret, ""};
  }

  SigningCredentials session_of(const Role& role) {
    const auto issued = tokens.issue(role_session(identities, role, "s"), std::chrono::hours(1), kNow, random);
    return {issued.access_key_id, issued.secret, issued.token};
  }

  // A signed request to ECS; `change` may spoil it.
  template <class Change>
  Signed<Authenticated> call(const SigningCredentials& credentials, TimePoint now, const Change& change,
                             VerifyOptions options = {}) const {
    HeaderList headers = {{"Host", "127.0.0.1:4580"}, {"X-Amz-Target", "AmazonEC2ContainerServiceV20141113.ListClusters"}};
    SignedRequest request{"POST", "/", "", headers, "{}", std::nullopt};
    const auto added = sign(request, credentials, {"us-east-1", "ecs"}, kNow);
    headers.insert(headers.end(), added.begin(), added.end());
    change(headers);
    request.headers = headers;
    return authenticate(identities, tokens, request, options, now);
  }
  Signed<Authenticated> call(const SigningCredentials& credentials, TimePoint now = kNow) const {
    return call(credentials, now, [](HeaderList&) {});
  }
};

std::string& header(HeaderList& headers, std::string_view name) {
  for (auto& [key, value] : headers) {
    if (key == name) return value;
  }
  throw std::runtime_error("no such header");
}

SignatureErrorCode code_of(const Signed<Authenticated>& answer) {
  if (answer) throw std::runtime_error("authenticated");
  return answer.error().code;
}

TEST_F(Authenticate, TheAdministratorsKeyIsTheAdministrator) {
  const auto who = call(administrator());
  ASSERT_TRUE(who) << who.error().message;
  EXPECT_EQ(who->principal.arn, "arn:aws:iam::123456789012:user/berth-admin");
  EXPECT_EQ(who->principal.kind, Principal::Kind::user);
  EXPECT_EQ(who->region, "us-east-1");
  EXPECT_EQ(who->service, "ecs");
}

TEST_F(Authenticate, ASessionIsItsAssumedRole) {
  const auto& role = add_role("writer", trust("\"*\""));
  const auto who = call(session_of(role));
  ASSERT_TRUE(who) << who.error().message;
  EXPECT_EQ(who->principal.arn, "arn:aws:sts::123456789012:assumed-role/writer/s");
  EXPECT_EQ(who->principal.role_arn, role.arn);
  EXPECT_EQ(who->principal.unique_id, role.id + ":s");
}

TEST_F(Authenticate, AnUnknownKeyIsRefused) {
  auto credentials = administrator();
  credentials.access_key_id = "AKIAAAAAAAAAAAAAAAAA";
  const auto who = call(credentials);
  EXPECT_EQ(code_of(who), SignatureErrorCode::invalid_client_token_id);
  EXPECT_EQ(who.error().message, "The security token included in the request is invalid.");
}

TEST_F(Authenticate, AnInactiveKeyIsRefused) {
  const auto credentials = administrator();
  ASSERT_TRUE(identities.update_user(kAdministratorName, [&](User& user) -> Result<> {
    user.access_keys.at(credentials.access_key_id).active = false;
    return {};
  }));
  EXPECT_EQ(code_of(call(credentials)), SignatureErrorCode::invalid_client_token_id);
}

TEST_F(Authenticate, AnotherSecretDoesNotMatch) {
  auto credentials = administrator();
  credentials.secret = Secret("wrong");
  const auto who = call(credentials);
  EXPECT_EQ(code_of(who), SignatureErrorCode::signature_does_not_match);
  EXPECT_TRUE(who.error().message.starts_with("The request signature we calculated does not match the signature you provided."));
}

TEST_F(Authenticate, AKeyThatGetsAnotherSecretNoLongerSignsWithTheOldOne) {
  const auto credentials = administrator();
  ASSERT_TRUE(call(credentials));  // its signing key is now in the cache
  ASSERT_TRUE(identities.update_user(kAdministratorName, [&](User& user) -> Result<> {
    user.access_keys.at(credentials.access_key_id).secret = Secret("another");
    return {};
  }));
  EXPECT_EQ(code_of(call(credentials)), SignatureErrorCode::signature_does_not_match);
}

TEST_F(Authenticate, ARequestOfSixteenMinutesAgoHasExpired) {
  EXPECT_TRUE(call(administrator(), kNow + minutes(15)));
  const auto late = call(administrator(), kNow + minutes(16));
  EXPECT_EQ(code_of(late), SignatureErrorCode::request_expired);
  EXPECT_EQ(late.error().message,
            "Signature expired: 20261123T051502Z is now earlier than 20261123T051602Z (20261123T053102Z - 15 min.)");
}

TEST_F(Authenticate, ARequestFromTheFutureIsNotYetCurrent) {
  EXPECT_TRUE(call(administrator(), kNow - minutes(15)));
  const auto early = call(administrator(), kNow - minutes(16));
  EXPECT_EQ(code_of(early), SignatureErrorCode::request_expired);
  EXPECT_TRUE(
      early.error().message.starts_with("Signature not yet current: 20261123T051502Z is still later than 20261123T051402Z"));
}

TEST_F(Authenticate, AnUnsignedHeaderOfAwsIsRefused) {
  const auto who = call(administrator(), kNow, [](HeaderList& headers) { headers.emplace_back("X-Amz-Security-Whatever", "x"); });
  EXPECT_EQ(code_of(who), SignatureErrorCode::signature_does_not_match);
}

TEST_F(Authenticate, AHeaderOfNoneOfAwsMayBeAddedOnTheWay) {
  EXPECT_TRUE(call(administrator(), kNow, [](HeaderList& headers) { headers.emplace_back("Via", "1.1 proxy"); }));
}

TEST_F(Authenticate, WithoutTheHostAmongTheSignedHeadersItIsRefused) {
  const auto who = call(administrator(), kNow, [](HeaderList& headers) {
    auto& value = header(headers, "authorization");
    value.replace(value.find("host;"), 5, "");
  });
  EXPECT_EQ(code_of(who), SignatureErrorCode::signature_does_not_match);
  EXPECT_EQ(who.error().message, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.");
}

TEST_F(Authenticate, TheScopeMustBeOfTheServiceAndRegion) {
  const auto same = [](HeaderList&) {};
  EXPECT_TRUE(call(administrator(), kNow, same, {.service = "ecs", .region = "us-east-1"}));
  const auto service = call(administrator(), kNow, same, {.service = "sts"});
  EXPECT_EQ(service.error().message, "Credential should be scoped to correct service: 'sts'.");
  const auto region = call(administrator(), kNow, same, {.region = "eu-west-1"});
  EXPECT_EQ(region.error().message, "Credential should be scoped to a valid Region, not 'us-east-1'.");
}

struct Spoilt {
  std::string_view what;
  std::string_view header;  // the Authorization header; empty: none at all
  SignatureErrorCode code;
  std::string_view says;
};

TEST_F(Authenticate, EveryMalformedAuthorizationHeaderSaysWhatIsWrong) {
  constexpr auto incomplete = SignatureErrorCode::incomplete_signature;
  const Spoilt cases[] = {
      {"none", "", SignatureErrorCode::missing_authentication_token, "Request is missing Authentication Token"},
      {"another algorithm", "AWS4-HMAC-SHA1 Credential=a", incomplete, "Unsupported AWS 'algorithm'"},
      {"bearer", "Bearer x", incomplete, "Unsupported AWS 'algorithm': 'Bearer'"},
      {"nothing behind it", "AWS4-HMAC-SHA256", incomplete,
       "requires 'Credential' parameter. Authorization header requires 'Signature'"},
      {"no signature", "AWS4-HMAC-SHA256 Credential=a/20261123/r/s/aws4_request, SignedHeaders=host", incomplete,
       "requires 'Signature' parameter"},
      {"no equal sign", "AWS4-HMAC-SHA256 Credential", incomplete, "missing equal-sign"},
      {"four parts", "AWS4-HMAC-SHA256 Credential=a/b/c/d, SignedHeaders=host, Signature=x", incomplete,
       "exactly 5 slash-delimited elements"},
      {"another terminator", "AWS4-HMAC-SHA256 Credential=a/20261123/r/s/aws5, SignedHeaders=host, Signature=x",
       SignatureErrorCode::signature_does_not_match, "valid terminator: 'aws4_request', not 'aws5'"},
  };
  for (const auto& spoilt : cases) {
    SCOPED_TRACE(spoilt.what);
    const auto who = call(administrator(), kNow, [&](HeaderList& headers) {
      if (spoilt.header.empty())
        std::erase_if(headers, [](const auto& h) { return h.first == "authorization"; });
      else
        header(headers, "authorization") = spoilt.header;
    });
    EXPECT_EQ(code_of(who), spoilt.code);
    EXPECT_NE(who.error().message.find(spoilt.says), std::string::npos) << who.error().message;
  }
}

TEST_F(Authenticate, ADateThatIsNotTheScopesIsRefused) {
  const auto who = call(administrator(), kNow, [](HeaderList& headers) { header(headers, "x-amz-date") = "20261122T235959Z"; });
  EXPECT_NE(who.error().message.find("'20261123' != '20261122', from '20261122T235959Z'"), std::string::npos)
      << who.error().message;
  const auto broken = call(administrator(), kNow, [](HeaderList& headers) { header(headers, "x-amz-date") = "yesterday"; });
  EXPECT_EQ(code_of(broken), SignatureErrorCode::incomplete_signature);
}

TEST_F(Authenticate, AnExpiredTokenSaysSo) {
  const auto& role = add_role("writer", trust("\"*\""));
  const auto issued = tokens.issue(role_session(identities, role, "s"), seconds(60), kNow, random);
  const auto who = call({issued.access_key_id, issued.secret, issued.token}, kNow + seconds(60));
  EXPECT_EQ(code_of(who), SignatureErrorCode::expired_token);
}

TEST_F(Authenticate, ATokenOfAnotherKeyIsInvalid) {
  const auto& role = add_role("writer", trust("\"*\""));
  auto one = session_of(role);
  one.session_token = session_of(role).session_token;
  EXPECT_EQ(code_of(call(one)), SignatureErrorCode::invalid_token);
}

TEST_F(Authenticate, ATemporaryKeyWithoutItsTokenIsUnknown) {
  auto credentials = session_of(add_role("writer", trust("\"*\"")));
  credentials.session_token.clear();
  EXPECT_EQ(code_of(call(credentials)), SignatureErrorCode::invalid_client_token_id);
}

TEST_F(Authenticate, ASessionDiesWithItsRoleAndDoesNotComeBackWithANewOneOfTheName) {
  const auto credentials = session_of(add_role("writer", trust("\"*\"")));
  ASSERT_TRUE(call(credentials));
  ASSERT_TRUE(identities.destroy_role("writer"));
  EXPECT_EQ(code_of(call(credentials)), SignatureErrorCode::invalid_token);
  add_role("writer", trust("\"*\""));
  EXPECT_EQ(code_of(call(credentials)), SignatureErrorCode::invalid_token);
}

TEST_F(Authenticate, RevokedSessionsAreInvalid) {
  const auto credentials = session_of(add_role("writer", trust("\"*\"")));
  const auto revoke = [&](TimePoint before) {
    ASSERT_TRUE(identities.update_role("writer", [before](Role& role) -> Result<> {
      role.revoked_before = before;
      return {};
    }));
  };
  revoke(kNow);
  EXPECT_TRUE(call(credentials));
  revoke(kNow + seconds(1));
  EXPECT_EQ(code_of(call(credentials)), SignatureErrorCode::invalid_token);
}

TEST_F(Authenticate, APresignedUrlWorksUntilItExpires) {
  const HeaderList headers = {{"Host", "127.0.0.1:4580"}};
  SignedRequest request{"GET", "/", "Action=GetCallerIdentity&Version=2011-06-15", headers, "", std::nullopt};
  const auto query = presign(request, administrator(), {"us-east-1", "sts"}, kNow, minutes(1));
  request.query = query;
  EXPECT_TRUE(authenticate(identities, tokens, request, {}, kNow + minutes(1)));
  EXPECT_EQ(code_of(authenticate(identities, tokens, request, {}, kNow + minutes(1) + seconds(1))),
            SignatureErrorCode::request_expired);
  const HeaderList both = {{"Host", "127.0.0.1:4580"}, {"Authorization", "AWS4-HMAC-SHA256 x"}};
  request.headers = both;
  EXPECT_EQ(code_of(authenticate(identities, tokens, request, {}, kNow)), SignatureErrorCode::incomplete_signature);
}

}  // namespace
}  // namespace berth::credentials

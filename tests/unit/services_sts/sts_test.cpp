#include "broker/services/sts/service.hpp"

#include "broker/services/iam/service.hpp"
#include "credentials/authorization.hpp"
#include "tests/support/service_world.hpp"

namespace berth::services::sts {
namespace {

using Json = api::Json;

const std::string kOpenTrust =
    R"({"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:root"},"Action":["sts:AssumeRole","sts:TagSession"]}})";
const std::string kTaskTrust =
    R"({"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"ecs-tasks.amazonaws.com"},"Action":"sts:AssumeRole"}})";
const std::string kRole = "arn:aws:iam::123456789012:role/app";

class Sts : public berth::testing::ServiceWorld<> {
 protected:
  std::vector<const api::Service*> services() const override { return {&iam, &service}; }
  void make_role(const std::string& trust) { must("CreateRole", {{"RoleName", "app"}, {"AssumeRolePolicyDocument", trust}}); }
  Json assume(Json input = Json::object()) {
    input.update({{"RoleArn", kRole}, {"RoleSessionName", "one"}});
    return must("AssumeRole", input);
  }
  std::string refused(Json input = Json::object()) {
    input.update({{"RoleArn", kRole}, {"RoleSessionName", "one"}});
    return refusal("AssumeRole", input);
  }
  credentials::Session session_of(const Json& answer) {
    return tokens.open(answer["Credentials"]["SessionToken"].get<std::string>(), world.clock().now()).value();
  }
  bool may(const credentials::Principal& principal, const std::string& action) {
    return credentials::authorize(*world.plane().identities(),
                                  {.principal = principal, .action = action, .now = world.clock().now()})
        .allowed();
  }

  api::Service iam = services::iam::make_iam(world.plane());
  credentials::SessionTokens tokens{credentials::SessionTokens::make_key(world.random())};
  api::Service service = make_sts(world.plane(), tokens, world.random());
};

TEST_F(Sts, AnAssumedRoleIsWhoItSaysItIs) {
  make_role(kOpenTrust);
  const auto answer = assume();
  EXPECT_EQ(answer["AssumedRoleUser"]["Arn"], "arn:aws:sts::123456789012:assumed-role/app/one");
  EXPECT_TRUE(answer["AssumedRoleUser"]["AssumedRoleId"].get<std::string>().ends_with(":one"));
  EXPECT_EQ(answer["Credentials"]["Expiration"], to_epoch_seconds(world.clock().now() + std::chrono::hours(1)));
  EXPECT_FALSE(answer.contains("PackedPolicySize"));
  const auto session = session_of(answer);
  EXPECT_EQ(session.secret.reveal(), answer["Credentials"]["SecretAccessKey"].get<std::string>());
  caller = session.principal;
  const auto who = must("GetCallerIdentity", Json::object());
  EXPECT_EQ(who, (Json{{"Account", "123456789012"},
                       {"Arn", answer["AssumedRoleUser"]["Arn"]},
                       {"UserId", answer["AssumedRoleUser"]["AssumedRoleId"]}}));
}

TEST_F(Sts, GetCallerIdentityNeedsNoPermission) { EXPECT_TRUE(row("GetCallerIdentity").needs_no_permission); }

TEST_F(Sts, TheTrustPolicyGoesIntoTheDispatchersDecision) {
  make_role(kTaskTrust);
  refused();
  ASSERT_EQ(accesses.size(), 1U);
  EXPECT_EQ(accesses[0].arn, kRole);
  EXPECT_EQ(accesses[0].resource_policy, kTaskTrust);
}

TEST_F(Sts, ARoleThatDoesNotTrustTheCallerAnswersAsOneThatIsNotThere) {
  const std::string denied =
      "AccessDenied: User: arn:aws:iam::123456789012:user/berth-admin is not authorized to perform: sts:AssumeRole on "
      "resource: " +
      kRole;
  EXPECT_EQ(refused(), denied);
  make_role(kTaskTrust);
  EXPECT_EQ(refused(), denied);
}

TEST_F(Sts, TheDurationIsLimitedByTheRoleAndByChaining) {
  make_role(kOpenTrust);
  EXPECT_EQ(refused({{"DurationSeconds", 3601}}),
            "ValidationError: The requested DurationSeconds exceeds the MaxSessionDuration set for this role.");
  must("UpdateRole", {{"RoleName", "app"}, {"MaxSessionDuration", 7200}});
  const auto answer = assume({{"DurationSeconds", 7200}});
  must("PutRolePolicy",
       {{"RoleName", "app"},
        {"PolicyName", "p"},
        {"PolicyDocument", R"({"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}})"}});
  caller = session_of(answer).principal;
  EXPECT_EQ(refused({{"DurationSeconds", 7200}}),
            "ValidationError: The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining");
  assume();
}

TEST_F(Sts, ASessionPolicyNarrowsTheSession) {
  make_role(kOpenTrust);
  must("AttachRolePolicy", {{"RoleName", "app"}, {"PolicyArn", "arn:aws:iam::aws:policy/AdministratorAccess"}});
  const auto whole = session_of(assume()).principal;
  const auto narrow =
      session_of(
          assume({{"Policy", R"({"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ecs:*","Resource":"*"}})"}}))
          .principal;
  const auto managed =
      session_of(assume({{"PolicyArns", {{{"arn", "arn:aws:iam::aws:policy/AmazonElasticFileSystemClientReadOnlyAccess"}}}}}))
          .principal;
  EXPECT_TRUE(may(whole, "s3:GetObject"));
  EXPECT_FALSE(may(narrow, "s3:GetObject"));
  EXPECT_TRUE(may(narrow, "ecs:RunTask"));
  EXPECT_FALSE(may(managed, "ecs:RunTask"));
  EXPECT_TRUE(may(managed, "elasticfilesystem:ClientMount"));
}

TEST_F(Sts, ASessionPolicyThatIsWrongOrTooLongIsRefused) {
  make_role(kOpenTrust);
  EXPECT_TRUE(refused({{"Policy", "{"}}).starts_with("MalformedPolicyDocument: "));
  const auto much = R"({"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::)" +
                    std::string(2048, 'a') + "\"}}";
  EXPECT_TRUE(refused({{"Policy", much}}).starts_with("PackedPolicyTooLarge: "));
  EXPECT_TRUE(refused({{"PolicyArns", {{{"arn", "arn:aws:iam::aws:policy/None"}}}}}).starts_with("ValidationError: "));
}

TEST_F(Sts, TagsBecomePrincipalTags) {
  make_role(kOpenTrust);
  must(
      "PutRolePolicy",
      {{"RoleName", "app"},
       {"PolicyName", "p"},
       {"PolicyDocument",
        R"({"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/team":"red"}}}})"}});
  EXPECT_FALSE(may(session_of(assume()).principal, "ecs:RunTask"));
  const auto answer = assume({{"Tags", {{{"Key", "team"}, {"Value", "red"}}}}});
  EXPECT_TRUE(answer.contains("PackedPolicySize"));
  EXPECT_TRUE(may(session_of(answer).principal, "ecs:RunTask"));
}

TEST_F(Sts, WhatIsNotBuiltIsRefusedNotIgnored) {
  make_role(kOpenTrust);
  EXPECT_EQ(refused({{"SourceIdentity", "ann"}}), "ValidationError: SourceIdentity is not built in Berth yet");
  EXPECT_EQ(refused({{"TransitiveTagKeys", {"a"}}}), "ValidationError: TransitiveTagKeys is not built in Berth yet");
}

TEST_F(Sts, ARoleArnThatIsNoneIsInvalid) {
  EXPECT_EQ(refusal("AssumeRole", {{"RoleArn", "arn:aws:s3:::bucket/role"}, {"RoleSessionName", "one"}}),
            "ValidationError: arn:aws:s3:::bucket/role is invalid");
}

TEST_F(Sts, GetSessionTokenIsForLongTermKeysOnly) {
  const auto session = session_of(must("GetSessionToken", {{"DurationSeconds", 900}}));
  EXPECT_EQ(session.principal.arn, caller.arn);
  caller = session.principal;
  EXPECT_EQ(refusal("GetSessionToken", Json::object()), "AccessDenied: Cannot call GetSessionToken with session credentials");
}

TEST_F(Sts, AnAccessKeyTellsItsAccount) {
  EXPECT_EQ(must("GetAccessKeyInfo", {{"AccessKeyId", caller.access_key_id}})["Account"], "123456789012");
  EXPECT_TRUE(refusal("GetAccessKeyInfo", {{"AccessKeyId", "AKIAAAAAAAAAAAAAAAAA"}}).starts_with("ValidationError: "));
}

}  // namespace
}  // namespace berth::services::sts

#include "credentials/sts/assume_role.hpp"

#include "tests/unit/credentials/world.hpp"

namespace berth::credentials {
namespace {

class AssumeRole : public World {
 protected:
  AssumeRole() {
    User ann{.name = "ann", .id = "AIDAX"};
    EXPECT_TRUE(identities.create(ann));
  }

  void give_ann(std::string_view document) {
    ASSERT_TRUE(identities.update_user("ann", [&](User& ann) -> Result<> {
      ann.inline_policies["p"] = policy(document);
      return {};
    }));
  }

  Decision ask(const Role& role, const Principal& principal, std::multimap<std::string, std::string> conditions = {},
               std::map<std::string, std::string> tags = {}) const {
    return authorize_assume_role(identities, {principal, role.arn, std::move(conditions), std::move(tags), kNow});
  }
  Decision ask_as_ann(const Role& role) const { return ask(role, user("ann")); }
};

constexpr std::string_view kMayAssume =
    R"({"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:*","Resource":"*"}})";
constexpr std::string_view kMayNot =
    R"({"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"sts:AssumeRole","Resource":"*"}})";
constexpr std::string_view kAnn = R"({"AWS":"arn:aws:iam::123456789012:user/ann"})";
constexpr std::string_view kAccountRoot = R"({"AWS":"arn:aws:iam::123456789012:root"})";

TEST_F(AssumeRole, WhomTheTrustPolicyNamesNeedsNoIdentityPolicy) {
  EXPECT_TRUE(ask_as_ann(add_role("r", trust(kAnn))).allowed());
}

TEST_F(AssumeRole, WhomItNamesByTheAccountNeedsOne) {
  const auto& role = add_role("r", trust(kAccountRoot));
  const auto before = ask_as_ann(role);
  EXPECT_FALSE(before.allowed());
  EXPECT_EQ(before.denying_policy_type, "identity-based policy");
  give_ann(kMayAssume);
  const auto after = ask_as_ann(role);
  ASSERT_TRUE(after.allowed());
  ASSERT_EQ(after.determining.size(), 2U);
  EXPECT_EQ(after.determining[0].policy, "trust policy of role `r`");
  EXPECT_EQ(after.determining[1].policy, "inline policy `p` of user `ann`");
}

TEST_F(AssumeRole, AnIdentityPolicyAloneDoesNotDo) {
  give_ann(kMayAssume);
  const auto decision = ask_as_ann(add_role("r", trust(R"({"Service":"ecs-tasks.amazonaws.com"})")));
  EXPECT_FALSE(decision.allowed());
  EXPECT_EQ(decision.denying_policy_type, "role trust policy");
}

TEST_F(AssumeRole, AnIdentityPolicysDenyBeatsTheTrustPolicy) {
  give_ann(kMayNot);
  EXPECT_EQ(ask_as_ann(add_role("r", trust(kAnn))).reason, Decision::Reason::explicitly_denied);
}

TEST_F(AssumeRole, ATrustPolicysDenyBeatsItsAllow) {
  const auto& role =
      add_role("r", policy(R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"},
    {"Sid":"NotAnn","Effect":"Deny","Principal":{"AWS":"arn:aws:iam::123456789012:user/ann"},"Action":"sts:AssumeRole"}]})",
                           PolicyKind::trust));
  const auto decision = ask_as_ann(role);
  EXPECT_EQ(decision.reason, Decision::Reason::explicitly_denied);
  EXPECT_EQ(decision.determining.at(0).sid, "NotAnn");
}

TEST_F(AssumeRole, ServicesAreToldApart) {
  const auto& role = add_role("r", trust(R"({"Service":"ecs-tasks.amazonaws.com"})"));
  EXPECT_TRUE(ask(role, service_principal("ecs-tasks.amazonaws.com", kAccount)).allowed());
  EXPECT_FALSE(ask(role, service_principal("ec2.amazonaws.com", kAccount)).allowed());
}

TEST_F(AssumeRole, AServiceIsNotOfTheAccount) {
  EXPECT_FALSE(ask(add_role("r", trust(kAccountRoot)), service_principal("ecs-tasks.amazonaws.com", kAccount)).allowed());
}

TEST_F(AssumeRole, ARoleNamesARoleAndOneOfItsSessions) {
  const auto& first = add_role("first", trust("\"*\""));
  const auto by_role = add_role("by-role", trust(R"({"AWS":"arn:aws:iam::123456789012:role/first"})"));
  const auto by_session = add_role("by-session", trust(R"({"AWS":"arn:aws:sts::123456789012:assumed-role/first/one"})"));
  EXPECT_TRUE(ask(by_role, role_session(identities, first, "one")).allowed());
  EXPECT_TRUE(ask(by_session, role_session(identities, first, "one")).allowed());
  EXPECT_FALSE(ask(by_session, role_session(identities, first, "two")).allowed());
}

TEST_F(AssumeRole, AnExternalIdMustBeTheOneAskedFor) {
  const auto& role =
      add_role("r", policy(R"({"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole",
    "Condition":{"StringEquals":{"sts:ExternalId":"x1"}}}})",
                           PolicyKind::trust));
  EXPECT_FALSE(ask(role, user("ann")).allowed());
  EXPECT_FALSE(ask(role, user("ann"), {{"sts:ExternalId", "x2"}}).allowed());
  EXPECT_TRUE(ask(role, user("ann"), {{"sts:ExternalId", "x1"}}).allowed());
}

TEST_F(AssumeRole, TagsNeedTagSession) {
  EXPECT_FALSE(ask(add_role("r", trust(kAnn)), user("ann"), {}, {{"team", "red"}}).allowed());
  const auto& open = add_role(
      "open",
      policy(
          R"({"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":["sts:AssumeRole","sts:TagSession"]}})",
          PolicyKind::trust));
  EXPECT_TRUE(ask(open, user("ann"), {}, {{"team", "red"}}).allowed());
}

TEST_F(AssumeRole, ARoleThatIsNotThereIsDenied) {
  EXPECT_FALSE(authorize_assume_role(identities, {user("ann"), "arn:aws:iam::123456789012:role/none", {}, {}, kNow}).allowed());
}

TEST_F(AssumeRole, ATaskGetsItsRolesSessionAndATokenThatSaysSo) {
  const auto& role = add_role("r", trust(R"({"Service":"ecs-tasks.amazonaws.com"})"));
  const auto got = assume_role_as_service(identities, tokens, "ecs-tasks.amazonaws.com", role.arn, "t1", std::chrono::hours(6),
                                          kNow, random, {{"task", "t1"}});
  ASSERT_TRUE(got) << got.error().message;
  const auto session = tokens.open(got->token, kNow);
  ASSERT_TRUE(session);
  EXPECT_EQ(session->principal.arn, "arn:aws:sts::123456789012:assumed-role/r/t1");
  EXPECT_EQ(session->extra.at("task"), "t1");
}

TEST_F(AssumeRole, ATaskIsToldWhyItGetsNoSession) {
  const auto& role = add_role("r", trust(R"({"Service":"ec2.amazonaws.com"})"));
  const auto ask_for = [&](const std::string& arn) {
    return assume_role_as_service(identities, tokens, "ecs-tasks.amazonaws.com", arn, "t1", std::chrono::hours(6), kNow, random)
        .error();
  };
  EXPECT_EQ(ask_for(role.arn).code, Code::permission_denied);
  EXPECT_EQ(ask_for(role.arn + "x").code, Code::not_found);
}

}  // namespace
}  // namespace berth::credentials

#include "credentials/identities.hpp"

#include "credentials/identities_codec.hpp"
#include "tests/unit/credentials/world.hpp"

namespace berth::credentials {
namespace {

constexpr std::string_view kAllow = R"({"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}})";

class IdentitiesTest : public World {
 protected:
  std::string add_policy(const std::string& name) {
    ManagedPolicy record;
    record.name = name;
    record.id = make_unique_id("ANPA", random);
    record.versions.emplace(1, PolicyVersion{policy(kAllow), kNow});
    EXPECT_TRUE(identities.create(record));
    return "arn:aws:iam::" + kAccount + ":policy/" + name;
  }
};

TEST(IdentitiesBootstrap, MakesAnAdministratorWithOneKey) {
  SeededRandom random(1);
  auto identities = Identities::bootstrap(kAccount, random, kNow);
  const auto owner = identities.administrator();
  ASSERT_TRUE(owner);
  EXPECT_EQ(owner.user->arn, "arn:aws:iam::123456789012:user/berth-admin");
  EXPECT_TRUE(owner.key->id.starts_with("AKIA"));
  EXPECT_EQ(owner.key->id.size(), 20U);
  EXPECT_EQ(owner.key->id.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"), std::string::npos);
  EXPECT_EQ(owner.key->secret.reveal().size(), 40U);
  EXPECT_EQ(identities.take_changes(), (std::vector<Change>{{std::string(kUserKind), "berth-admin"}}));
  EXPECT_TRUE(identities.find_policy("arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"));
}

TEST_F(IdentitiesTest, NotesEachChangedRecordOnce) {
  add_role("r", trust("\"*\""));
  ASSERT_TRUE(identities.update_role("r", [](Role& role) -> Result<> {
    role.description = "x";
    return {};
  }));
  EXPECT_EQ(identities.take_changes(), (std::vector<Change>{{std::string(kRoleKind), "r"}}));
  EXPECT_TRUE(identities.take_changes().empty());
}

TEST_F(IdentitiesTest, AnEditThatFailsChangesAndNotesNothing) {
  add_role("r", trust("\"*\""));
  identities.take_changes();
  const auto edited = identities.update_role("r", [](Role& role) -> Result<> {
    role.description = "half";
    return fail(Code::invalid_argument, "no");
  });
  EXPECT_FALSE(edited);
  EXPECT_EQ(identities.find_role("r")->description, "");
  EXPECT_TRUE(identities.take_changes().empty());
}

TEST_F(IdentitiesTest, ACopyDoesNotSeeLaterChanges) {
  add_role("r", trust("\"*\""));
  const Identities snapshot = identities;
  ASSERT_TRUE(identities.destroy_role("r"));
  EXPECT_TRUE(snapshot.find_role("r"));
  EXPECT_FALSE(identities.find_role("r"));
}

TEST_F(IdentitiesTest, ARoleIsFoundByItsWholeArnOnly) {
  Role role{.name = "r", .path = "/team/", .id = "AROAX"};
  role.trust_policy = trust("\"*\"");
  ASSERT_TRUE(identities.create(role));
  EXPECT_TRUE(identities.find_role_by_arn("arn:aws:iam::123456789012:role/team/r"));
  EXPECT_FALSE(identities.find_role_by_arn("arn:aws:iam::123456789012:role/r"));
  EXPECT_FALSE(identities.find_role_by_arn("arn:aws:iam::999999999999:role/team/r"));
}

TEST_F(IdentitiesTest, WhatHangsOnARoleKeepsIt) {
  add_role("r", trust("\"*\""));
  InstanceProfile profile{.name = "p", .id = "AIPAX", .role = "r"};
  ASSERT_TRUE(identities.create(profile));
  EXPECT_EQ(identities.destroy_role("r").error().code, Code::failed_precondition);
  ASSERT_TRUE(identities.update_instance_profile("p", [](InstanceProfile& p) -> Result<> {
    p.role.clear();
    return {};
  }));
  EXPECT_TRUE(identities.destroy_role("r"));
}

TEST_F(IdentitiesTest, AnAttachedPolicyIsKept) {
  const auto arn = add_policy("mine");
  add_role("r", trust("\"*\""));
  const auto attach = [&](bool on) {
    ASSERT_TRUE(identities.update_role("r", [&](Role& role) -> Result<> {
      on ? void(role.attached_policies.insert(arn)) : void(role.attached_policies.erase(arn));
      return {};
    }));
  };
  attach(true);
  EXPECT_EQ(identities.attachment_count(arn), 1);
  EXPECT_EQ(identities.destroy_policy(arn).error().code, Code::failed_precondition);
  attach(false);
  EXPECT_TRUE(identities.destroy_policy(arn));
}

TEST_F(IdentitiesTest, AwsManagedPoliciesCannotBeChanged) {
  const auto* arn = "arn:aws:iam::aws:policy/AdministratorAccess";
  EXPECT_EQ(identities.destroy_policy(arn).error().code, Code::permission_denied);
  EXPECT_FALSE(identities.update_policy(arn, [](ManagedPolicy&) -> Result<> { return {}; }));
}

TEST_F(IdentitiesTest, AccessKeysAreFoundUntilTheyAreDeleted) {
  const auto key = make_access_key(random, kNow);
  ASSERT_TRUE(identities.update_user(kAdministratorName, [&](User& user) -> Result<> {
    user.access_keys.emplace(key.id, key);
    return {};
  }));
  EXPECT_TRUE(identities.find_access_key(key.id));
  ASSERT_TRUE(identities.update_user(kAdministratorName, [&](User& user) -> Result<> {
    user.access_keys.erase(key.id);
    return {};
  }));
  EXPECT_FALSE(identities.find_access_key(key.id));
}

TEST_F(IdentitiesTest, EveryRecordComesBackFromItsText) {
  Role role{.name = "r",
            .path = "/t/",
            .id = "AROAX",
            .description = "d\xFF",
            .max_session_duration = std::chrono::hours(2),
            .created = kNow,
            .tags = {{"a", "b"}}};
  role.trust_policy = trust("\"*\"");
  role.inline_policies["in"] = policy(kAllow);
  role.attached_policies = {"arn:aws:iam::aws:policy/AdministratorAccess"};
  role.permissions_boundary = add_policy("mine");
  role.revoked_before = kNow;
  ASSERT_TRUE(identities.create(role));
  ASSERT_TRUE(identities.create(InstanceProfile{.name = "p", .id = "AIPAX", .created = kNow, .role = "r"}));
  ASSERT_TRUE(identities.update_user(kAdministratorName, [](User& user) -> Result<> {
    user.tags["x"] = "y";
    return {};
  }));
  Identities again(kAccount);
  const auto changes = identities.take_changes();
  ASSERT_EQ(changes.size(), 4U);
  for (const auto& change : changes) {
    const auto text = encode(identities, change);
    ASSERT_TRUE(text) << change.kind;
    ASSERT_TRUE(restore(again, change.kind, change.key, *text));
    EXPECT_EQ(encode(again, change), text);  // nothing was lost on the way
  }
  EXPECT_TRUE(again.take_changes().empty());
  const auto* back = again.find_role("r");
  ASSERT_TRUE(back);
  EXPECT_EQ(back->arn, "arn:aws:iam::123456789012:role/t/r");
  EXPECT_EQ(back->created, kNow);
  EXPECT_EQ(back->inline_policies.at("in")->document(), kAllow);
  EXPECT_EQ(back->max_session_duration, std::chrono::hours(2));
  const auto administrator = again.administrator();
  ASSERT_TRUE(administrator);
  EXPECT_EQ(administrator.key->secret.reveal(), identities.administrator().key->secret.reveal());
  EXPECT_TRUE(again.find_access_key(administrator.key->id));
}

TEST_F(IdentitiesTest, ADeletedRecordHasNoText) {
  add_role("r", trust("\"*\""));
  ASSERT_TRUE(identities.destroy_role("r"));
  EXPECT_EQ(encode(identities, {std::string(kRoleKind), "r"}), std::nullopt);
}

TEST_F(IdentitiesTest, DamagedTextIsAnErrorThatNamesTheRecord) {
  for (const auto* text : {"", "{", "{}", R"({"format":2})", "[]",
                           R"({"format":1,"name":"r","path":"/","id":"x","arn":"y","created":"never","tags":{}})"}) {
    const auto restored = restore(identities, kRoleKind, "r", text);
    ASSERT_FALSE(restored) << text;
    EXPECT_NE(restored.error().message.find("`iam_role` `r` is damaged"), std::string::npos) << restored.error().message;
  }
  EXPECT_FALSE(restore(identities, "iam_group", "g", "{}"));
}

}  // namespace
}  // namespace berth::credentials

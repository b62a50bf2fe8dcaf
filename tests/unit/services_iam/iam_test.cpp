#include "broker/services/iam/service.hpp"

#include <algorithm>

#include "broker/base/encoding.hpp"
#include "tests/support/service_world.hpp"

namespace berth::services::iam {
namespace {

using Json = api::Json;

const std::string kTrust =
    R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ecs-tasks.amazonaws.com"},"Action":"sts:AssumeRole"}]})";
const std::string kAllow = R"({ "Version": "2012-10-17", "Statement": [{"Effect":"Allow","Action":"s3:*","Resource":"*"}] })";

class Iam : public berth::testing::ServiceWorld<> {
 protected:
  std::vector<const api::Service*> services() const override { return {&service}; }
  Json make_role(const std::string& name) {
    return must("CreateRole", {{"RoleName", name}, {"AssumeRolePolicyDocument", kTrust}})["Role"];
  }
  std::string make_policy(const std::string& name) {
    return must("CreatePolicy", {{"PolicyName", name}, {"PolicyDocument", kAllow}})["Policy"]["Arn"];
  }

  api::Service service = make_iam(world.plane());
};

TEST_F(Iam, EveryRowNamesItsOwnAction) {
  EXPECT_GE(service.operations.size(), 49U);
  for (const auto& operation : service.operations) EXPECT_EQ(operation.action, "iam:" + operation.name);
}

TEST_F(Iam, ARoleIsMadeAndShownWithItsDocumentPercentEncoded) {
  const auto made = must("CreateRole", {{"RoleName", "app"},
                                        {"AssumeRolePolicyDocument", kTrust},
                                        {"Path", "/team/"},
                                        {"Description", "d"},
                                        {"MaxSessionDuration", 7200},
                                        {"Tags", {{{"Key", "a"}, {"Value", "b"}}}}})["Role"];
  EXPECT_EQ(made["Arn"], "arn:aws:iam::123456789012:role/team/app");
  EXPECT_EQ(accesses.at(0).arn, "arn:aws:iam::123456789012:role/team/app");
  EXPECT_EQ(accesses.at(0).conditions.find("aws:RequestTag/a")->second, "b");
  const auto role = must("GetRole", {{"RoleName", "app"}})["Role"];
  EXPECT_EQ(role["AssumeRolePolicyDocument"], percent_encode(kTrust));
  EXPECT_TRUE(role["AssumeRolePolicyDocument"].get<std::string>().starts_with("%7B%22Version%22"));
  EXPECT_TRUE(role["RoleId"].get<std::string>().starts_with("AROA"));
  EXPECT_EQ(role["MaxSessionDuration"], 7200);
  EXPECT_EQ(role["Description"], "d");
  EXPECT_EQ(role["Tags"], Json::parse(R"([{"Key":"a","Value":"b"}])"));
  EXPECT_EQ(role["CreateDate"], to_epoch_seconds(world.clock().now()));
  EXPECT_EQ(accesses.at(0).conditions.find("aws:ResourceTag/a")->second, "b");
}

TEST_F(Iam, RolesAreStillThereAfterARestart) {
  const auto id = make_role("app")["RoleId"];
  must("PutRolePolicy", {{"RoleName", "app"}, {"PolicyName", "p"}, {"PolicyDocument", kAllow}});
  world.restart();
  service = make_iam(world.plane());
  EXPECT_EQ(must("GetRole", {{"RoleName", "app"}})["Role"]["RoleId"], id);
  EXPECT_EQ(must("GetRolePolicy", {{"RoleName", "app"}, {"PolicyName", "p"}})["PolicyDocument"], percent_encode(kAllow));
}

TEST_F(Iam, WrongNamesAnswerAsIamDoes) {
  make_role("app");
  EXPECT_EQ(refusal("CreateRole", {{"RoleName", "app"}, {"AssumeRolePolicyDocument", kTrust}}),
            "EntityAlreadyExists: Role with name app already exists.");
  EXPECT_EQ(refusal("GetRole", {{"RoleName", "none"}}), "NoSuchEntity: The role with name none cannot be found.");
  EXPECT_EQ(refusal("DeleteRole", {{"RoleName", "none"}}), "NoSuchEntity: The role with name none cannot be found.");
  EXPECT_EQ(refusal("GetRolePolicy", {{"RoleName", "app"}, {"PolicyName", "none"}}),
            "NoSuchEntity: The role policy with name none cannot be found.");
  EXPECT_EQ(refusal("GetUserPolicy", {{"UserName", "none"}, {"PolicyName", "p"}}),
            "NoSuchEntity: The user with name none cannot be found.");
  EXPECT_EQ(refusal("GetInstanceProfile", {{"InstanceProfileName", "none"}}),
            "NoSuchEntity: Instance Profile none cannot be found.");
  EXPECT_EQ(refusal("GetPolicy", {{"PolicyArn", "arn:aws:iam::123456789012:policy/none"}}),
            "NoSuchEntity: Policy arn:aws:iam::123456789012:policy/none was not found.");
  EXPECT_EQ(refusal("GetPolicy", {{"PolicyArn", "not an arn at all..."}}),
            "InvalidInput: ARN not an arn at all... is not valid.");
}

TEST_F(Iam, AMalformedPolicyIsRefusedAndNothingIsMade) {
  EXPECT_TRUE(
      refusal("CreateRole", {{"RoleName", "app"}, {"AssumeRolePolicyDocument", "{"}}).starts_with("MalformedPolicyDocument: "));
  EXPECT_TRUE(refusal("GetRole", {{"RoleName", "app"}}).starts_with("NoSuchEntity"));
  make_role("app");
  const auto unknown =
      R"({"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"StringSame":{"a:b":"c"}}}})";
  EXPECT_EQ(refusal("PutRolePolicy", {{"RoleName", "app"}, {"PolicyName", "p"}, {"PolicyDocument", unknown}}),
            "MalformedPolicyDocument: statement 1: Condition `StringSame`: `StringSame` is not a condition operator");
  EXPECT_EQ(must("ListRolePolicies", {{"RoleName", "app"}})["PolicyNames"], Json::array());
}

TEST_F(Iam, ATrustPolicyMustNameWhoIsThere) {
  const auto document =
      R"({"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:role/ghost"},"Action":"sts:AssumeRole"}})";
  EXPECT_EQ(refusal("CreateRole", {{"RoleName", "app"}, {"AssumeRolePolicyDocument", document}}),
            "MalformedPolicyDocument: Invalid principal in policy: \"AWS\":\"arn:aws:iam::123456789012:role/ghost\"");
  make_role("ghost");
  EXPECT_TRUE(must("CreateRole", {{"RoleName", "app"}, {"AssumeRolePolicyDocument", document}}).contains("Role"));
}

TEST_F(Iam, PoliciesThatAreTooLongAreRefused) {
  make_role("app");
  std::string much = R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::)" +
                     std::string(10200, 'a') + "\"}]}";
  EXPECT_EQ(refusal("PutRolePolicy", {{"RoleName", "app"}, {"PolicyName", "p"}, {"PolicyDocument", much}}),
            "LimitExceeded: Maximum policy size of 10240 bytes exceeded for role app");
  EXPECT_EQ(refusal("CreatePolicy", {{"PolicyName", "p"}, {"PolicyDocument", much}}),
            "LimitExceeded: Cannot exceed quota for PolicySize: 6144");
  const std::string blanks(20000, ' ');  // white space is not counted
  must("PutRolePolicy", {{"RoleName", "app"}, {"PolicyName", "p"}, {"PolicyDocument", blanks + kAllow}});
}

TEST_F(Iam, ARoleWithPoliciesIsNotDeleted) {
  make_role("app");
  const auto arn = make_policy("mine");
  must("PutRolePolicy", {{"RoleName", "app"}, {"PolicyName", "p"}, {"PolicyDocument", kAllow}});
  must("AttachRolePolicy", {{"RoleName", "app"}, {"PolicyArn", arn}});
  EXPECT_EQ(accesses.at(0).conditions.find("iam:PolicyARN")->second, arn);
  EXPECT_EQ(refusal("DeleteRole", {{"RoleName", "app"}}),
            "DeleteConflict: Cannot delete entity, must detach all policies first.");
  EXPECT_EQ(refusal("DeletePolicy", {{"PolicyArn", arn}}), "DeleteConflict: Cannot delete a policy attached to entities.");
  must("DetachRolePolicy", {{"RoleName", "app"}, {"PolicyArn", arn}});
  EXPECT_EQ(refusal("DeleteRole", {{"RoleName", "app"}}), "DeleteConflict: Cannot delete entity, must delete policies first.");
  must("DeleteRolePolicy", {{"RoleName", "app"}, {"PolicyName", "p"}});
  must("DeleteRole", {{"RoleName", "app"}});
  must("DeletePolicy", {{"PolicyArn", arn}});
}

TEST_F(Iam, AttachedPoliciesAreListed) {
  make_role("app");
  must("AttachRolePolicy",
       {{"RoleName", "app"}, {"PolicyArn", "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"}});
  EXPECT_EQ(
      must("ListAttachedRolePolicies", {{"RoleName", "app"}})["AttachedPolicies"],
      Json::parse(
          R"([{"PolicyName":"AmazonECSTaskExecutionRolePolicy","PolicyArn":"arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"}])"));
  EXPECT_EQ(refusal("AttachRolePolicy", {{"RoleName", "app"}, {"PolicyArn", "arn:aws:iam::aws:policy/None"}}),
            "NoSuchEntity: Policy arn:aws:iam::aws:policy/None does not exist or is not attachable.");
  EXPECT_EQ(refusal("DetachRolePolicy", {{"RoleName", "app"}, {"PolicyArn", "arn:aws:iam::aws:policy/AdministratorAccess"}}),
            "NoSuchEntity: Policy arn:aws:iam::aws:policy/AdministratorAccess was not found.");
}

TEST_F(Iam, ListsComeInPagesThatMeetEndToEnd) {
  for (int i = 0; i < 5; ++i) make_role("r" + std::to_string(i));
  std::vector<std::string> names;
  Json input = {{"MaxItems", 2}};
  for (int pages = 0; pages < 10; ++pages) {
    const auto page = must("ListRoles", input);
    EXPECT_LE(page["Roles"].size(), 2U);
    for (const auto& role : page["Roles"]) names.push_back(role["RoleName"]);
    EXPECT_EQ(page["IsTruncated"], page.contains("Marker"));
    if (!page.contains("Marker")) break;
    input["Marker"] = page["Marker"];
  }
  EXPECT_EQ(names, (std::vector<std::string>{"r0", "r1", "r2", "r3", "r4"}));
  EXPECT_EQ(refusal("ListRoles", {{"Marker", "?"}}), "ValidationError: Invalid Marker.");
}

TEST_F(Iam, APathPrefixNarrowsTheList) {
  make_role("a");
  must("CreateRole", {{"RoleName", "b"}, {"AssumeRolePolicyDocument", kTrust}, {"Path", "/x/"}});
  const auto roles = must("ListRoles", {{"PathPrefix", "/x/"}})["Roles"];
  ASSERT_EQ(roles.size(), 1U);
  EXPECT_EQ(roles[0]["RoleName"], "b");
}

TEST_F(Iam, TagsAreAddedReplacedAndTaken) {
  make_role("app");
  must("TagRole", {{"RoleName", "app"}, {"Tags", {{{"Key", "a"}, {"Value", "1"}}, {{"Key", "b"}, {"Value", "2"}}}}});
  must("TagRole", {{"RoleName", "app"}, {"Tags", {{{"Key", "a"}, {"Value", "3"}}}}});
  must("UntagRole", {{"RoleName", "app"}, {"TagKeys", {"b"}}});
  EXPECT_EQ(must("ListRoleTags", {{"RoleName", "app"}})["Tags"], Json::parse(R"([{"Key":"a","Value":"3"}])"));
  Json many = Json::array();
  for (int i = 0; i < 50; ++i) many.push_back({{"Key", "k" + std::to_string(i)}, {"Value", ""}});
  EXPECT_EQ(refusal("TagRole", {{"RoleName", "app"}, {"Tags", many}}), "LimitExceeded: Cannot exceed quota for TagsPerRole: 50");
  EXPECT_EQ(must("ListRoleTags", {{"RoleName", "app"}})["Tags"].size(), 1U);
}

TEST_F(Iam, UpdatesOfARoleAreSeen) {
  make_role("app");
  must("UpdateRole", {{"RoleName", "app"}, {"Description", "new"}, {"MaxSessionDuration", 43200}});
  const std::string trust =
      R"({"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}})";
  must("UpdateAssumeRolePolicy", {{"RoleName", "app"}, {"PolicyDocument", trust}});
  const auto role = must("GetRole", {{"RoleName", "app"}})["Role"];
  EXPECT_EQ(role["Description"], "new");
  EXPECT_EQ(role["MaxSessionDuration"], 43200);
  EXPECT_EQ(role["AssumeRolePolicyDocument"], percent_encode(trust));
}

TEST_F(Iam, ABoundaryIsPutShownAndTaken) {
  make_role("app");
  const auto arn = make_policy("edge");
  must("PutRolePermissionsBoundary", {{"RoleName", "app"}, {"PermissionsBoundary", arn}});
  EXPECT_EQ(must("GetRole", {{"RoleName", "app"}})["Role"]["PermissionsBoundary"]["PermissionsBoundaryArn"], arn);
  EXPECT_EQ(refusal("DeletePolicy", {{"PolicyArn", arn}}), "DeleteConflict: Cannot delete a policy attached to entities.");
  must("DeleteRolePermissionsBoundary", {{"RoleName", "app"}});
  EXPECT_FALSE(must("GetRole", {{"RoleName", "app"}})["Role"].contains("PermissionsBoundary"));
  EXPECT_TRUE(refusal("DeleteRolePermissionsBoundary", {{"RoleName", "app"}}).starts_with("NoSuchEntity"));
}

TEST_F(Iam, APolicyHasUpToFiveVersionsAndNumbersAreNotUsedTwice) {
  const auto arn = make_policy("mine");
  for (int i = 2; i <= 5; ++i)
    must("CreatePolicyVersion", {{"PolicyArn", arn}, {"PolicyDocument", kAllow}, {"SetAsDefault", i == 3}});
  EXPECT_TRUE(refusal("CreatePolicyVersion", {{"PolicyArn", arn}, {"PolicyDocument", kAllow}})
                  .starts_with("LimitExceeded: A managed policy can have up to 5 versions."));
  EXPECT_EQ(must("GetPolicy", {{"PolicyArn", arn}})["Policy"]["DefaultVersionId"], "v3");
  EXPECT_EQ(refusal("DeletePolicyVersion", {{"PolicyArn", arn}, {"VersionId", "v3"}}),
            "DeleteConflict: Cannot delete the default version of a policy.");
  must("DeletePolicyVersion", {{"PolicyArn", arn}, {"VersionId", "v5"}});
  EXPECT_EQ(must("CreatePolicyVersion", {{"PolicyArn", arn}, {"PolicyDocument", kAllow}})["PolicyVersion"]["VersionId"], "v6");
  const auto versions = must("ListPolicyVersions", {{"PolicyArn", arn}})["Versions"];
  ASSERT_EQ(versions.size(), 5U);
  EXPECT_EQ(versions[0]["VersionId"], "v6");
  EXPECT_EQ(must("GetPolicyVersion", {{"PolicyArn", arn}, {"VersionId", "v1"}})["PolicyVersion"]["Document"],
            percent_encode(kAllow));
  EXPECT_TRUE(refusal("GetPolicyVersion", {{"PolicyArn", arn}, {"VersionId", "v9"}}).starts_with("NoSuchEntity"));
  EXPECT_TRUE(
      refusal("DeletePolicy", {{"PolicyArn", arn}}).starts_with("DeleteConflict: This policy has more than one version."));
}

TEST_F(Iam, PoliciesAreListedByScope) {
  const auto arn = make_policy("mine");
  const auto local = must("ListPolicies", {{"Scope", "Local"}})["Policies"];
  ASSERT_EQ(local.size(), 1U);
  EXPECT_EQ(local[0]["Arn"], arn);
  EXPECT_EQ(must("ListPolicies", {{"Scope", "AWS"}})["Policies"].size() + 1,
            must("ListPolicies", Json::object())["Policies"].size());
  EXPECT_EQ(must("ListPolicies", {{"OnlyAttached", true}})["Policies"].size(), 0U);
}

TEST_F(Iam, AnInstanceProfileHoldsOneRole) {
  make_role("app");
  must("CreateInstanceProfile", {{"InstanceProfileName", "box"}});
  must("AddRoleToInstanceProfile", {{"InstanceProfileName", "box"}, {"RoleName", "app"}});
  ASSERT_EQ(accesses.size(), 2U);
  EXPECT_EQ(accesses[1].action, "iam:PassRole");
  EXPECT_EQ(accesses[1].arn, "arn:aws:iam::123456789012:role/app");
  EXPECT_EQ(refusal("AddRoleToInstanceProfile", {{"InstanceProfileName", "box"}, {"RoleName", "app"}}),
            "LimitExceeded: Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1");
  EXPECT_EQ(must("GetInstanceProfile", {{"InstanceProfileName", "box"}})["InstanceProfile"]["Roles"][0]["RoleName"], "app");
  EXPECT_EQ(must("ListInstanceProfilesForRole", {{"RoleName", "app"}})["InstanceProfiles"].size(), 1U);
  EXPECT_EQ(refusal("DeleteRole", {{"RoleName", "app"}}),
            "DeleteConflict: Cannot delete entity, must remove roles from instance profile first.");
  EXPECT_EQ(refusal("DeleteInstanceProfile", {{"InstanceProfileName", "box"}}),
            "DeleteConflict: Cannot delete entity, must remove roles from instance profile first.");
  must("RemoveRoleFromInstanceProfile", {{"InstanceProfileName", "box"}, {"RoleName", "app"}});
  must("DeleteInstanceProfile", {{"InstanceProfileName", "box"}});
  must("DeleteRole", {{"RoleName", "app"}});
}

TEST_F(Iam, AUserHasAtMostTwoAccessKeys) {
  must("CreateUser", {{"UserName", "ann"}});
  const auto key = must("CreateAccessKey", {{"UserName", "ann"}})["AccessKey"];
  EXPECT_EQ(key["SecretAccessKey"].get<std::string>().size(), 40U);
  EXPECT_TRUE(world.plane().identities()->find_access_key(key["AccessKeyId"].get<std::string>()));
  must("CreateAccessKey", {{"UserName", "ann"}});
  EXPECT_EQ(refusal("CreateAccessKey", {{"UserName", "ann"}}), "LimitExceeded: Cannot exceed quota for AccessKeysPerUser: 2");
  must("UpdateAccessKey", {{"UserName", "ann"}, {"AccessKeyId", key["AccessKeyId"]}, {"Status", "Inactive"}});
  const auto keys = must("ListAccessKeys", {{"UserName", "ann"}})["AccessKeyMetadata"];
  ASSERT_EQ(keys.size(), 2U);
  EXPECT_EQ(std::ranges::count_if(keys, [](const Json& k) { return k["Status"] == "Inactive"; }), 1);
  EXPECT_EQ(std::ranges::count_if(keys, [](const Json& k) { return k.contains("SecretAccessKey"); }), 0);
  EXPECT_EQ(refusal("DeleteUser", {{"UserName", "ann"}}), "DeleteConflict: Cannot delete entity, must delete access keys first.");
  for (const auto& k : keys) must("DeleteAccessKey", {{"UserName", "ann"}, {"AccessKeyId", k["AccessKeyId"]}});
  must("DeleteUser", {{"UserName", "ann"}});
  EXPECT_FALSE(world.plane().identities()->find_access_key(key["AccessKeyId"].get<std::string>()));
}

TEST_F(Iam, WithoutAUserNameTheCallerIsMeant) {
  EXPECT_EQ(must("GetUser", Json::object())["User"]["UserName"], "berth-admin");
  EXPECT_EQ(accesses.at(0).arn, "arn:aws:iam::123456789012:user/berth-admin");
  EXPECT_EQ(must("ListAccessKeys", Json::object())["AccessKeyMetadata"].size(), 1U);
  caller.kind = credentials::Principal::Kind::assumed_role;
  EXPECT_EQ(refusal("GetUser", Json::object()), "ValidationError: Must specify userName when calling with non-User credentials");
}

TEST_F(Iam, AUsersPoliciesWorkAsARolesDo) {
  must("CreateUser", {{"UserName", "ann"}});
  must("PutUserPolicy", {{"UserName", "ann"}, {"PolicyName", "p"}, {"PolicyDocument", kAllow}});
  must("AttachUserPolicy", {{"UserName", "ann"}, {"PolicyArn", "arn:aws:iam::aws:policy/AdministratorAccess"}});
  EXPECT_EQ(must("ListUserPolicies", {{"UserName", "ann"}})["PolicyNames"], Json::parse(R"(["p"])"));
  EXPECT_EQ(must("GetUserPolicy", {{"UserName", "ann"}, {"PolicyName", "p"}})["PolicyDocument"], percent_encode(kAllow));
  EXPECT_EQ(must("ListAttachedUserPolicies", {{"UserName", "ann"}})["AttachedPolicies"].size(), 1U);
  must("DetachUserPolicy", {{"UserName", "ann"}, {"PolicyArn", "arn:aws:iam::aws:policy/AdministratorAccess"}});
  must("DeleteUserPolicy", {{"UserName", "ann"}, {"PolicyName", "p"}});
  must("DeleteUser", {{"UserName", "ann"}});
}

}  // namespace
}  // namespace berth::services::iam

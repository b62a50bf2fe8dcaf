#include <gmock/gmock.h>

#include "tests/unit/services_efs/efs_world.hpp"

namespace berth::services::efs {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

class AccessPoints : public EfsWorld {
 protected:
  AccessPoints() : file_system(make_file_system()) {}
  Json rooted_at(const std::string& path) {
    return {{"FileSystemId", file_system}, {"ClientToken", "token of " + path}, {"RootDirectory", {{"Path", path}}}};
  }
  std::string file_system;
};

TEST_F(AccessPoints, OneSaysItsRootAndItsIdentity) {
  const auto made = must("CreateAccessPoint", Json::parse(R"({"FileSystemId": ")" + file_system + R"(", "ClientToken": "c",
      "PosixUser": {"Uid": 1000, "Gid": 1001, "SecondaryGids": [7]},
      "RootDirectory": {"Path": "/service", "CreationInfo": {"OwnerUid": 1000, "OwnerGid": 1001, "Permissions": "0750"}},
      "Tags": [{"Key": "Name", "Value": "service"}]})"));
  EXPECT_EQ(made["LifeCycleState"], "creating");
  const auto id = made["AccessPointId"].get<std::string>();
  const auto described = must("DescribeAccessPoints", {{"AccessPointId", id}})["AccessPoints"];
  ASSERT_THAT(described, SizeIs(1));
  EXPECT_EQ(described[0],
            Json({{"AccessPointArn", "arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/" + id},
                  {"AccessPointId", id},
                  {"ClientToken", "c"},
                  {"FileSystemId", file_system},
                  {"LifeCycleState", "available"},
                  {"Name", "service"},
                  {"OwnerId", "123456789012"},
                  {"PosixUser", {{"Uid", 1000}, {"Gid", 1001}, {"SecondaryGids", {7}}}},
                  {"RootDirectory",
                   {{"Path", "/service"}, {"CreationInfo", {{"OwnerUid", 1000}, {"OwnerGid", 1001}, {"Permissions", "0750"}}}}},
                  {"Tags", {{{"Key", "Name"}, {"Value", "service"}}}}}));
}

TEST_F(AccessPoints, WithoutARootOneIsTheWholeFileSystem) {
  const auto made = must("CreateAccessPoint", {{"FileSystemId", file_system}, {"ClientToken", "c"}});
  EXPECT_EQ(made["RootDirectory"], Json({{"Path", "/"}}));
  EXPECT_FALSE(made.contains("PosixUser"));
}

TEST_F(AccessPoints, TheSameClientTokenNamesTheOneThatIsThere) {
  const auto id = must("CreateAccessPoint", {{"FileSystemId", file_system}, {"ClientToken", "c"}})["AccessPointId"];
  const auto again = call("CreateAccessPoint", {{"FileSystemId", file_system}, {"ClientToken", "c"}});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, "AccessPointAlreadyExists");
  EXPECT_EQ((*again.error().members)["AccessPointId"], id);
}

TEST_F(AccessPoints, ARootThatLeavesTheFileSystemOrIsTooDeepIsRefused) {
  for (const char* path : {"/..", "/a/../b", "/a/.", "//", "/a//b", "/a/", "a", "/a/b/c/d/e", "/a*"})
    EXPECT_EQ(code_of("CreateAccessPoint", rooted_at(path)), "BadRequest") << path;
  for (const char* path : {"/", "/a", "/a/b/c/d", "/..a"}) must("CreateAccessPoint", rooted_at(path));
}

TEST_F(AccessPoints, ListsAreOfOneFileSystemOrOfAll) {
  const auto other = make_file_system("other");
  must("CreateAccessPoint", {{"FileSystemId", file_system}, {"ClientToken", "1"}});
  must("CreateAccessPoint", {{"FileSystemId", other}, {"ClientToken", "2"}});
  EXPECT_THAT(must("DescribeAccessPoints", {{"FileSystemId", other}})["AccessPoints"], SizeIs(1));
  const auto first = must("DescribeAccessPoints", {{"MaxResults", 1}});
  EXPECT_THAT(first["AccessPoints"], SizeIs(1));
  const auto second = must("DescribeAccessPoints", {{"MaxResults", 1}, {"NextToken", first["NextToken"]}});
  EXPECT_NE(first["AccessPoints"], second["AccessPoints"]);
  EXPECT_FALSE(second.contains("NextToken"));
  EXPECT_EQ(code_of("DescribeAccessPoints", {{"FileSystemId", "fs-0123456789abcdef0"}}), "FileSystemNotFound");
}

TEST_F(AccessPoints, ADeletedOneIsGone) {
  const auto id = must("CreateAccessPoint", {{"FileSystemId", file_system}, {"ClientToken", "c"}})["AccessPointId"];
  must("DeleteAccessPoint", {{"AccessPointId", id}});
  EXPECT_EQ(code_of("DeleteAccessPoint", {{"AccessPointId", id}}), "AccessPointNotFound");
  EXPECT_EQ(access_changes, 1);
}

class FileSystemPolicies : public AccessPoints {
 protected:
  api::Outcome<Json> put(const std::string& policy, bool bypass = false) {
    return call("PutFileSystemPolicy",
                {{"FileSystemId", file_system}, {"Policy", policy}, {"BypassPolicyLockoutSafetyCheck", bypass}});
  }
};

constexpr const char* kEncryptedOnly = R"({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": {"AWS": "*"},
    "Action": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}]})";

TEST_F(FileSystemPolicies, OneThatNamesNoResourceGetsItsFileSystem) {
  EXPECT_EQ(code_of("DescribeFileSystemPolicy", {{"FileSystemId", file_system}}), "PolicyNotFound");
  const auto answer = put(kEncryptedOnly);
  ASSERT_TRUE(answer) << answer.error().message;
  const auto policy = Json::parse(must("DescribeFileSystemPolicy", {{"FileSystemId", file_system}})["Policy"].get<std::string>());
  EXPECT_EQ(policy["Statement"][0]["Resource"], "arn:aws:elasticfilesystem:us-east-1:123456789012:file-system/" + file_system);
  EXPECT_EQ(access_changes, 1);
  must("DeleteFileSystemPolicy", {{"FileSystemId", file_system}});
  EXPECT_EQ(code_of("DescribeFileSystemPolicy", {{"FileSystemId", file_system}}), "PolicyNotFound");
  EXPECT_EQ(access_changes, 2);
}

TEST_F(FileSystemPolicies, WhatCanNotBeUnderstoodIsRefusedWhenItIsPut) {
  for (
      const char* policy : {
          "not json",
          "{}",
          R"({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "elasticfilesystem:ClientMount"}]})",
          R"({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}]})",
          R"({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "elasticfilesystem:ClientMount",
               "Condition": {"NoSuchOperator": {"aws:SecureTransport": "true"}}}]})",
          R"({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "elasticfilesystem:ClientMount",
               "Resource": "arn:aws:elasticfilesystem:us-east-1:123456789012:file-system/fs-0123456789abcdef0"}]})",
      }) {
    const auto answer = put(policy);
    ASSERT_FALSE(answer) << policy;
    EXPECT_EQ(answer.error().code, "InvalidPolicyException") << policy;
  }
  EXPECT_EQ(code_of("DescribeFileSystemPolicy", {{"FileSystemId", file_system}}), "PolicyNotFound");
}

TEST_F(FileSystemPolicies, BracketsWithoutEndAreRefusedBeforeTheyAreRead) {
  const auto answer = put(R"({"Version": "2012-10-17", "Statement": )" + std::string(9000, '[') + std::string(9000, ']') + "}");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, "InvalidPolicyException");
}

TEST_F(FileSystemPolicies, OneThatLocksItsAuthorOutNeedsTheBypass) {
  constexpr const char* kLockout = R"({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": {"AWS": "*"},
      "Action": "elasticfilesystem:*"}]})";
  const auto refused = put(kLockout);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "InvalidPolicyException");
  EXPECT_THAT(refused.error().message, HasSubstr("lock you out"));
  EXPECT_TRUE(put(kLockout, true));
}

TEST_F(FileSystemPolicies, AuthorizationSeesThePolicyAndTheTagsOfTheFileSystem) {
  ASSERT_TRUE(put(kEncryptedOnly));
  must("TagResource", {{"ResourceId", file_system}, {"Tags", {{{"Key", "team"}, {"Value", "x"}}}}});
  const auto seen = resources("DescribeMountTargets", {{"FileSystemId", file_system}});
  ASSERT_THAT(seen, SizeIs(1));
  EXPECT_EQ(seen.front().arn, "arn:aws:elasticfilesystem:us-east-1:123456789012:file-system/" + file_system);
  EXPECT_TRUE(seen.front().resource_policy);
  EXPECT_EQ(seen.front().conditions.find("aws:ResourceTag/team")->second, "x");
}

}  // namespace
}  // namespace berth::services::efs

#include "broker/launch/grants.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/task_world.hpp"

namespace berth::launch {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using testing::TaskWorld;

constexpr const char* kMount = "elasticfilesystem:ClientMount";
constexpr const char* kWrite = "elasticfilesystem:ClientWrite";

// No control plane: identities and records as values.
class DecideGrant : public ::testing::Test {
 protected:
  DecideGrant() : identities(testing::kAccount), file_system(TaskWorld::a_file_system("fs-1")) {
    file_system.policy = testing::kEncryptedOnly;
  }
  void make_role(const std::string& name, const std::vector<std::string>& actions) {
    ASSERT_TRUE(identities.create(TaskWorld::a_role(name, actions, "ecs-tasks.amazonaws.com")));
  }
  Grant grant(const std::string& role = "writer") {
    const MountClient client{.task = "0123", .role_arn = role.empty() ? "" : TaskWorld::role_arn(role), .zone = "us-east-1a"};
    return decide_grant(identities, file_system, access_point ? &*access_point : nullptr, volume, client);
  }

  credentials::Identities identities;
  fuse::FileSystemRecord file_system;
  std::optional<fuse::AccessPointRecord> access_point;
  EfsVolume volume{.name = "data", .file_system = "fs-1", .transit_encryption = true, .iam = true};
};

TEST_F(DecideGrant, AFileSystemWithoutAPolicyIsOpenToEveryClient) {
  file_system.policy.reset();
  volume.iam = false;
  volume.transit_encryption = false;
  const auto open = grant("");
  EXPECT_TRUE(open.mount && open.rights.write && open.rights.root_access);
}

TEST_F(DecideGrant, TheRolesOwnPolicyGivesWhatItAllowsAndNoMore) {
  make_role("writer", {kMount, kWrite});
  make_role("reader", {kMount});
  make_role("root", {"elasticfilesystem:Client*"});
  EXPECT_TRUE(grant("writer").mount && grant("writer").rights.write);
  EXPECT_FALSE(grant("writer").rights.root_access);
  EXPECT_TRUE(grant("reader").mount);
  EXPECT_FALSE(grant("reader").rights.write);
  EXPECT_TRUE(grant("root").rights.root_access);
}

TEST_F(DecideGrant, ARoleWithoutClientMountIsToldWhichActionIsMissingAndWhoWasAsked) {
  make_role("outsider", {"s3:GetObject"});
  const auto denied = grant("outsider");
  EXPECT_FALSE(denied.mount);
  EXPECT_THAT(denied.denial, HasSubstr("elasticfilesystem:ClientMount"));
  EXPECT_THAT(denied.denial, HasSubstr("assumed-role/outsider/0123"));
  EXPECT_THAT(denied.denial, HasSubstr("the task role is asked, not the execution role"));
}

TEST_F(DecideGrant, ADenialShowsTheStatementThatWouldHaveHelpedOrTheOneThatDenied) {
  make_role("outsider", {"s3:GetObject"});
  EXPECT_THAT(grant("outsider").denial,
              HasSubstr(R"(missing: {"Effect": "Allow", "Action": "elasticfilesystem:ClientMount", "Resource": ")" +
                        TaskWorld::file_system_arn() + R"("} in a policy of role arn:aws:iam::123456789012:role/outsider)"));
  make_role("writer", {kMount});
  file_system.policy = R"({"Version":"2012-10-17","Statement":[{"Sid":"Closed","Effect":"Deny","Principal":{"AWS":"*"},
      "Action":"elasticfilesystem:*","Resource":"*"}]})";
  EXPECT_THAT(grant("writer").denial, HasSubstr("denied by statement `Closed` of the file system policy"));
}

TEST_F(DecideGrant, AnExecutionRoleThatHasTheRightIsNamedButNotAsked) {
  make_role("outsider", {"s3:GetObject"});
  make_role("execution", {kMount});
  const MountClient client{.task = "0123",
                           .role_arn = TaskWorld::role_arn("outsider"),
                           .zone = "us-east-1a",
                           .execution_role_arn = TaskWorld::role_arn("execution")};
  const auto denied = decide_grant(identities, file_system, nullptr, volume, client);
  EXPECT_FALSE(denied.mount);
  EXPECT_THAT(denied.denial,
              HasSubstr("not the execution role (which is arn:aws:iam::123456789012:role/execution and would be allowed)"));
}

TEST_F(DecideGrant, WriteWithoutMountIsNothing) {
  make_role("writer", {kWrite});
  EXPECT_FALSE(grant().mount);
  EXPECT_FALSE(grant().rights.write);
}

TEST_F(DecideGrant, TheFileSystemPolicyAloneSufficesForARoleThatItNames) {
  make_role("bare", {});
  file_system.policy =
      R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:role/bare"},
      "Action":"elasticfilesystem:ClientMount","Resource":"*"}]})";
  EXPECT_TRUE(grant("bare").mount);
  EXPECT_FALSE(grant("bare").rights.write);
}

TEST_F(DecideGrant, AnExplicitDenyOfTheFileSystemPolicyBeatsTheRolesAllow) {
  make_role("writer", {kMount, kWrite});
  file_system.policy = R"({"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":{"AWS":"*"},
      "Action":"elasticfilesystem:ClientWrite","Resource":"*"}]})";
  EXPECT_TRUE(grant().mount);
  EXPECT_FALSE(grant().rights.write);
}

TEST_F(DecideGrant, WithoutTransitEncryptionADenyOfInsecureTransportHolds) {
  make_role("writer", {kMount, kWrite});
  volume.transit_encryption = false;
  EXPECT_FALSE(grant().mount);
}

TEST_F(DecideGrant, WithoutIamAuthorizationOnlyWhatTheFileSystemPolicyGivesToEveryoneCounts) {
  make_role("writer", {kMount, kWrite});
  volume.iam = false;
  const auto denied = grant("writer");
  EXPECT_FALSE(denied.mount);
  EXPECT_THAT(denied.denial, HasSubstr("set authorizationConfig.iam to ENABLED"));
  file_system.policy = R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},
      "Action":"elasticfilesystem:ClientMount","Resource":"*",
      "Condition":{"Bool":{"elasticfilesystem:AccessedViaMountTarget":"true"}}}]})";
  EXPECT_TRUE(grant("writer").mount);
  EXPECT_FALSE(grant("writer").rights.write);
}

TEST_F(DecideGrant, ATaskWithoutATaskRoleIsNobody) {
  const auto denied = grant("");
  EXPECT_FALSE(denied.mount);
  EXPECT_THAT(denied.denial, HasSubstr("the task has no task role"));
}

TEST_F(DecideGrant, AConditionOnTheAccessPointHoldsForThatOneOnly) {
  auto role = TaskWorld::a_role("writer", {}, "ecs-tasks.amazonaws.com");
  const auto policy =
      R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"elasticfilesystem:ClientMount","Resource":")" +
      TaskWorld::file_system_arn() + R"(","Condition":{"StringEquals":{"elasticfilesystem:AccessPointArn":")" +
      TaskWorld::access_point_arn() + R"("}}}]})";
  role.inline_policies["share"] = credentials::Policy::parse(policy, credentials::PolicyKind::identity).value();
  ASSERT_TRUE(identities.create(role));
  EXPECT_FALSE(grant().mount) << "not through an access point";
  access_point = TaskWorld::an_access_point("fsap-2", "fs-1", "/other");
  EXPECT_FALSE(grant().mount) << "through another one";
  access_point = TaskWorld::an_access_point("fsap-1", "fs-1", "/service");
  EXPECT_TRUE(grant().mount);
}

class DecideMount : public DecideGrant {
 protected:
  DecideMount() {
    catalog.put(file_system);
    catalog.put(TaskWorld::a_file_system("fs-2"));
    catalog.put(fuse::MountTargetRecord{
        .id = fuse::MountTargetId("fsmt-1"), .file_system = file_system.id, .vpc = "vpc-1", .zone = "us-east-1a"});
    catalog.put(TaskWorld::an_access_point("fsap-1", "fs-1", "/service"));
    catalog.put(TaskWorld::an_access_point("fsap-2", "fs-2", "/other"));
    make_role("writer", {kMount, kWrite});
    volume.access_point = "fsap-1";
  }
  Result<fuse::MountSpec> mount() {
    return decide_mount(catalog, identities, volume, client, "us-east-1", "/state/file-systems");
  }

  fuse::Catalog catalog;
  MountClient client{.task = "0123", .role_arn = TaskWorld::role_arn("writer"), .zone = "us-east-1a", .vpc = "vpc-1"};
};

TEST_F(DecideMount, AnAccessPointGivesRootIdentityAndCreation) {
  const auto spec = mount();
  ASSERT_TRUE(spec) << spec.error().message;
  EXPECT_EQ(spec->id.str(), "0123/data");
  EXPECT_EQ(spec->backing_directory, "/state/file-systems/fs-1");
  EXPECT_EQ(spec->root, "/service");
  EXPECT_EQ(spec->identity->uid, 1000U);
  EXPECT_EQ(spec->creation->permissions, 0750U);
  EXPECT_TRUE(spec->rights.write);
  EXPECT_FALSE(spec->rights.root_access);
}

TEST_F(DecideMount, TheDestinationOfAReplicationIsReadOnlyAndNoClientMakesARootThere) {
  file_system.overwrite_protection = fuse::OverwriteProtection::replicating;
  catalog.put(file_system);
  const auto spec = mount();
  ASSERT_TRUE(spec) << spec.error().message;
  EXPECT_FALSE(spec->rights.write);
  EXPECT_FALSE(spec->creation);
}

TEST_F(DecideMount, WithoutOneTheRootDirectoryOfTheVolumeIsTheRoot) {
  volume.access_point.clear();
  volume.root = "/sub";
  const auto spec = mount();
  ASSERT_TRUE(spec);
  EXPECT_EQ(spec->root, "/sub");
  EXPECT_FALSE(spec->identity);
  EXPECT_FALSE(spec->creation);
}

TEST_F(DecideMount, TheMountKnowsItsZonesAndWhoseThroughputItShares) {
  auto spec = mount();
  ASSERT_TRUE(spec);
  EXPECT_EQ(spec->file_system, "fs-1");
  EXPECT_EQ(spec->ends, (fuse::zones::Ends{.client = "us-east-1a", .target = "us-east-1a", .one_zone = false}));
  EXPECT_FALSE(spec->metered);
  EXPECT_FALSE(spec->io_uring);
  file_system.zone = "us-east-1a";
  file_system.tags["berth:metered"] = "exact";
  file_system.tags["berth:io-uring"] = "on";
  catalog.put(file_system);
  spec = mount();
  ASSERT_TRUE(spec);
  EXPECT_TRUE(spec->ends.one_zone);
  EXPECT_TRUE(spec->metered);
  EXPECT_TRUE(spec->io_uring);
}

TEST_F(DecideMount, ADeniedMountReadsAsEcsWritesIt) {
  make_role("outsider", {});
  client.role_arn = TaskWorld::role_arn("outsider");
  const auto denied = mount();
  ASSERT_FALSE(denied);
  EXPECT_EQ(denied.error().code, Code::permission_denied);
  EXPECT_THAT(denied.error().message,
              StartsWith("ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: stderr: "
                         "b'mount.nfs4: access denied by server while mounting 127.0.0.1:/' : unsuccessful EFS utils command "
                         "execution; code: 32"));
  EXPECT_THAT(denied.error().message, HasSubstr("elasticfilesystem:ClientMount"));
}

TEST_F(DecideMount, WithoutAMountTargetInTheZoneTheNameDoesNotResolve) {
  client.zone = "us-east-1b";
  const auto unresolved = mount();
  ASSERT_FALSE(unresolved);
  EXPECT_THAT(unresolved.error().message, HasSubstr(R"(Failed to resolve "fs-1.efs.us-east-1.amazonaws.com")"));
  EXPECT_THAT(unresolved.error().message, HasSubstr("code: 1 "));
  client.zone = "us-east-1a";
  client.vpc = "vpc-2";
  EXPECT_FALSE(mount()) << "the mount target is in another VPC";
}

TEST_F(DecideMount, AClosedSecurityGroupIsATimeout) {
  client.closed["fs-1"] = "no rule for port 2049";
  const auto closed = mount();
  ASSERT_FALSE(closed);
  EXPECT_THAT(closed.error().message, StartsWith("ResourceInitializationError: failed to invoke EFS utils commands to set up EFS "
                                                 "volumes: stderr: Mount attempt 1/3 failed due to timeout after 15 sec"));
  EXPECT_THAT(closed.error().message, HasSubstr("(berth: no rule for port 2049)"));
}

TEST_F(DecideMount, AMissingRootReadsAsTheMountHelperWritesIt) {
  const fuse::MountSpec spec{.root = "/service"};
  const auto through_point = missing_root(volume, spec, "us-east-1").stopped_reason();
  EXPECT_THAT(through_point, HasSubstr("access denied by server while mounting 127.0.0.1:/"));
  EXPECT_THAT(through_point, HasSubstr("access point `fsap-1` starts at `/service`, which does not exist"));
  volume.access_point.clear();
  EXPECT_THAT(missing_root(volume, spec, "us-east-1").stopped_reason(),
              HasSubstr("b'mount.nfs4: mounting 127.0.0.1:/service failed, reason given by server: No such file or directory'"));
  volume.transit_encryption = false;
  EXPECT_THAT(missing_root(volume, spec, "us-east-1").stopped_reason(),
              HasSubstr("mounting fs-1.efs.us-east-1.amazonaws.com:/service"));
}

TEST_F(DecideMount, AnAccessPointMustBeThereAndOfThatFileSystem) {
  volume.access_point = "fsap-9";
  ASSERT_FALSE(mount());
  EXPECT_THAT(mount().error().message, HasSubstr("there is no access point `fsap-9`"));
  volume.access_point = "fsap-2";
  ASSERT_FALSE(mount());
  EXPECT_THAT(mount().error().message, HasSubstr("is one of `fs-2`, not of `fs-1`"));
}

TEST(MountId, LongVolumeNamesAreShortenedAndStayApart) {
  const std::string task(32, 'a');
  EXPECT_EQ(mount_id(task, "data").str(), task + "/data");
  const auto one = mount_id(task, std::string(80, 'v') + "1"), two = mount_id(task, std::string(80, 'v') + "2");
  EXPECT_LE(one.str().size(), 63U);
  EXPECT_NE(one, two);
  EXPECT_EQ(one, mount_id(task, std::string(80, 'v') + "1"));
}

}  // namespace
}  // namespace berth::launch

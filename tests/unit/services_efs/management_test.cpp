// Lifecycle and backup policies, account preferences, protection, quotas.
#include <gmock/gmock.h>

#include "tests/unit/services_efs/efs_world.hpp"

namespace berth::services::efs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Management : public EfsWorld {
 protected:
  std::string put_rules(const std::string& id, const Json& rules) {
    return code_of("PutLifecycleConfiguration", {{"FileSystemId", id}, {"LifecyclePolicies", rules}});
  }
  Json rules_of(const std::string& id) {
    return must("DescribeLifecycleConfiguration", {{"FileSystemId", id}})["LifecyclePolicies"];
  }
  std::string make_elastic(const std::string& token) {
    return must("CreateFileSystem", {{"CreationToken", token}, {"ThroughputMode", "elastic"}})["FileSystemId"];
  }
};

const Json kToIa{{"TransitionToIA", "AFTER_30_DAYS"}};
const Json kBack{{"TransitionToPrimaryStorageClass", "AFTER_1_ACCESS"}};

TEST_F(Management, LifecycleRulesAreKeptInTheirOrderReplacedAndTakenAway) {
  const auto id = make_file_system();
  EXPECT_EQ(rules_of(id), Json::array());
  const Json both{kBack, kToIa};
  EXPECT_EQ(must("PutLifecycleConfiguration", {{"FileSystemId", id}, {"LifecyclePolicies", both}})["LifecyclePolicies"], both);
  world.restart();
  make();
  EXPECT_EQ(rules_of(id), both);
  must("PutLifecycleConfiguration", {{"FileSystemId", id}, {"LifecyclePolicies", Json::array({kToIa})}});
  EXPECT_EQ(rules_of(id), Json::array({kToIa}));
  must("PutLifecycleConfiguration", {{"FileSystemId", id}, {"LifecyclePolicies", Json::array()}});
  EXPECT_EQ(rules_of(id), Json::array());
}

TEST_F(Management, ALifecyclePolicyHoldsOneTransitionAndEachComesOnce) {
  const auto id = make_file_system();
  Json both = kToIa;
  both.update(kBack);
  EXPECT_EQ(put_rules(id, Json::array({both})), "BadRequest");
  EXPECT_EQ(put_rules(id, Json::array({Json::object()})), "BadRequest");
  EXPECT_EQ(put_rules(id, {kToIa, {{"TransitionToIA", "AFTER_7_DAYS"}}}), "BadRequest");
  EXPECT_EQ(rules_of(id), Json::array());
}

TEST_F(Management, TheArchiveIsForElasticFileSystemsAndComesAfterIa) {
  const Json archive{{"TransitionToArchive", "AFTER_90_DAYS"}};
  EXPECT_EQ(put_rules(make_file_system("bursting"), {kToIa, archive}), "BadRequest");
  const auto id = make_elastic("elastic");
  EXPECT_EQ(put_rules(id, Json::array({archive})), "BadRequest") << "nothing goes to IA";
  EXPECT_EQ(put_rules(id, {{{"TransitionToIA", "AFTER_90_DAYS"}}, archive}), "BadRequest") << "at the same time";
  must("PutLifecycleConfiguration", {{"FileSystemId", id}, {"LifecyclePolicies", {kToIa, archive}}});
  EXPECT_THAT(refusal("UpdateFileSystem", {{"FileSystemId", id}, {"ThroughputMode", "bursting"}}),
              HasSubstr("TransitionToArchive"));
}

TEST_F(Management, ABackupPolicyIsOnItsWayInItsAnswerAndThereAfterIt) {
  const auto id = make_file_system();
  EXPECT_EQ(code_of("DescribeBackupPolicy", {{"FileSystemId", id}}), "PolicyNotFound");
  const auto put = [&](const char* status) {
    return must("PutBackupPolicy", {{"FileSystemId", id}, {"BackupPolicy", {{"Status", status}}}})["BackupPolicy"]["Status"];
  };
  const auto described = [&] { return must("DescribeBackupPolicy", {{"FileSystemId", id}})["BackupPolicy"]["Status"]; };
  EXPECT_EQ(put("ENABLED"), "ENABLING");
  world.restart();
  make();
  EXPECT_EQ(described(), "ENABLED");
  EXPECT_EQ(put("ENABLED"), "ENABLED") << "nothing changes";
  EXPECT_EQ(put("DISABLED"), "DISABLING");
  EXPECT_EQ(described(), "DISABLED");
  EXPECT_EQ(code_of("PutBackupPolicy", {{"FileSystemId", id}, {"BackupPolicy", {{"Status", "ENABLING"}}}}), "BadRequest");
  EXPECT_EQ(code_of("PutBackupPolicy", {{"FileSystemId", "fs-00000000"}, {"BackupPolicy", {{"Status", "ENABLED"}}}}),
            "FileSystemNotFound");
}

TEST_F(Management, BackupAtCreationIsAPolicyAndOneZoneFileSystemsHaveItUnlessToldNotTo) {
  const auto policy_of = [&](const Json& more) {
    Json input{{"CreationToken", more.dump().substr(0, 60)}};
    input.update(more);
    const auto id = must("CreateFileSystem", input)["FileSystemId"].get<std::string>();
    const auto answer = call("DescribeBackupPolicy", {{"FileSystemId", id}});
    return answer ? (*answer)["BackupPolicy"]["Status"].get<std::string>() : answer.error().code;
  };
  EXPECT_EQ(policy_of(Json::object()), "PolicyNotFound");
  EXPECT_EQ(policy_of({{"Backup", true}}), "ENABLED");
  EXPECT_EQ(policy_of({{"AvailabilityZoneName", "us-east-1a"}}), "ENABLED");
  EXPECT_EQ(policy_of({{"AvailabilityZoneName", "us-east-1a"}, {"Backup", false}}), "PolicyNotFound");
}

TEST_F(Management, IdsAreLong) {
  const Json preference{
      {"ResourceIdPreference", {{"ResourceIdType", "LONG_ID"}, {"Resources", {"FILE_SYSTEM", "MOUNT_TARGET"}}}}};
  EXPECT_EQ(must("DescribeAccountPreferences", Json::object()), preference);
  EXPECT_EQ(must("PutAccountPreferences", {{"ResourceIdType", "LONG_ID"}}), preference);
  EXPECT_EQ(code_of("PutAccountPreferences", {{"ResourceIdType", "SHORT_ID"}}), "BadRequest");
  EXPECT_EQ(resources("PutAccountPreferences", {{"ResourceIdType", "LONG_ID"}})[0].arn, "*");
}

TEST_F(Management, ProtectionIsEnabledAtFirstAndCanBeTakenAway) {
  const auto id = make_file_system();
  const auto protection = [&] {
    return must("DescribeFileSystems", {{"FileSystemId", id}})["FileSystems"][0]["FileSystemProtection"];
  };
  EXPECT_EQ(protection(), (Json{{"ReplicationOverwriteProtection", "ENABLED"}}));
  const Json disabled{{"ReplicationOverwriteProtection", "DISABLED"}};
  Json input = disabled;
  input["FileSystemId"] = id;
  EXPECT_EQ(must("UpdateFileSystemProtection", input), disabled);
  EXPECT_EQ(must("UpdateFileSystemProtection", input), disabled) << "again";
  world.restart();
  make();
  EXPECT_EQ(protection(), disabled);
  input["ReplicationOverwriteProtection"] = "REPLICATING";
  EXPECT_EQ(code_of("UpdateFileSystemProtection", input), "BadRequest");
  EXPECT_EQ(code_of("UpdateFileSystemProtection", {{"FileSystemId", id}}), "BadRequest");
}

TEST_F(Management, AnAccountHasAThousandFileSystemsAtMost) {
  for (int i = 0; i < 1000; ++i) make_file_system(std::to_string(i));
  EXPECT_EQ(code_of("CreateFileSystem", {{"CreationToken", "one more"}}), "FileSystemLimitExceeded");
  EXPECT_EQ(code_of("CreateFileSystem", {{"CreationToken", "7"}}), "FileSystemAlreadyExists");
}

TEST_F(Management, DependentActionsAreAskedForToo) {
  const auto asked = [&](const char* operation, const Json& input) {
    std::vector<std::string> all;
    for (const auto& access : resources(operation, input))
      if (access.action) all.push_back(*access.action + " " + access.arn.substr(access.arn.rfind(':') + 1));
    return all;
  };
  const auto id = make_file_system();
  const Json tags{{{"Key", "team"}, {"Value", "red"}}};
  EXPECT_THAT(asked("CreateFileSystem", {{"CreationToken", "a"}}), IsEmpty());
  EXPECT_THAT(asked("CreateFileSystem", {{"CreationToken", "a"}, {"Tags", tags}}),
              ElementsAre("elasticfilesystem:TagResource file-system/*"));
  EXPECT_THAT(asked("CreateAccessPoint", {{"FileSystemId", id}, {"ClientToken", "a"}, {"Tags", tags}}),
              ElementsAre("elasticfilesystem:TagResource access-point/*"));
  EXPECT_THAT(asked("CreateMountTarget", {{"FileSystemId", id}, {"SubnetId", "subnet-1"}}),
              ElementsAre("ec2:DescribeSubnets *", "ec2:DescribeNetworkInterfaces *",
                          "ec2:CreateNetworkInterface subnet/subnet-1", "ec2:CreateNetworkInterface network-interface/*"));
  EXPECT_THAT(asked("DeleteMountTarget", {{"MountTargetId", "fsmt-1"}}),
              ElementsAre("ec2:DeleteNetworkInterface network-interface/*"));
  EXPECT_THAT(asked("ModifyMountTargetSecurityGroups", {{"MountTargetId", "fsmt-1"}}),
              ElementsAre("ec2:ModifyNetworkInterfaceAttribute network-interface/*"));
}

}  // namespace
}  // namespace berth::services::efs

#include <gmock/gmock.h>

#include "broker/services/efs/replicator.hpp"
#include "tests/unit/services_efs/efs_world.hpp"

namespace berth::services::efs {
namespace {

using fuse::FileSystemId;
using fuse::replica::Progress;
using fuse::replica::Report;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class Replication : public EfsWorld {
 protected:
  Replication() { remake(); }

  void remake() {
    make();
    replicator = std::make_unique<Replicator>(
        world.plane(),
        [this](const FileSystemId& from, const FileSystemId& to, std::optional<TimePoint> since, Progress& progress) {
          passes.push_back(from.str() + " " + to.str() + (since ? " since " + to_iso8601(*since) : ""));
          if (during_pass) during_pass();
          if (progress.stop) return Result<Report>(Report{.problems = 0, .first_problems = {}, .stopped = true});
          return outcome;
        },
        [this] { ++access_changes; }, Replicator::Options{});
  }
  void restart() {
    replicator.reset();
    world.restart();
    remake();
  }

  Json replicate(const std::string& source, const Json& destination = Json::object()) {
    return must("CreateReplicationConfiguration", {{"SourceFileSystemId", source}, {"Destinations", {destination}}});
  }
  std::string refused(const std::string& source, const Json& destination = Json::object()) {
    return refusal("CreateReplicationConfiguration", {{"SourceFileSystemId", source}, {"Destinations", {destination}}});
  }
  Json described(const std::string& member) {
    return must("DescribeReplicationConfigurations", {{"FileSystemId", member}})["Replications"][0];
  }
  Json destination_of(const std::string& source) { return described(source)["Destinations"][0]; }
  Json file_system(const std::string& id) { return must("DescribeFileSystems", {{"FileSystemId", id}})["FileSystems"][0]; }
  std::string protection(const std::string& id) {
    return file_system(id)["FileSystemProtection"]["ReplicationOverwriteProtection"];
  }
  // One that may be overwritten.
  std::string make_open(const std::string& token, bool encrypted = false) {
    const auto id =
        must("CreateFileSystem", {{"CreationToken", token}, {"Encrypted", encrypted}})["FileSystemId"].get<std::string>();
    must("UpdateFileSystemProtection", {{"FileSystemId", id}, {"ReplicationOverwriteProtection", "DISABLED"}});
    return id;
  }
  bool carry_out(const std::string& source) { return replicator->carry_out(FileSystemId(source)); }

  std::vector<std::string> passes;
  std::function<void()> during_pass;
  Result<Report> outcome{Report{}};
  std::unique_ptr<Replicator> replicator;
};

TEST_F(Replication, ToANewFileSystemMakesAnEncryptedOneThatNobodyElseWrites) {
  const auto source =
      must("CreateFileSystem", {{"CreationToken", "s"}, {"ThroughputMode", "elastic"}})["FileSystemId"].get<std::string>();
  const auto made = replicate(source);
  EXPECT_EQ(made["SourceFileSystemId"], source);
  EXPECT_EQ(made["SourceFileSystemRegion"], "us-east-1");
  EXPECT_EQ(made["OriginalSourceFileSystemArn"], made["SourceFileSystemArn"]);
  EXPECT_EQ(made["CreationTime"], to_epoch_seconds(world.clock().now()));
  ASSERT_THAT(made["Destinations"], SizeIs(1));
  const auto& destination = made["Destinations"][0];
  EXPECT_EQ(destination["Status"], "ENABLING");
  EXPECT_EQ(destination["Region"], "us-east-1");
  EXPECT_FALSE(destination.contains("LastReplicatedTimestamp"));
  const auto id = destination["FileSystemId"].get<std::string>();
  const auto there = file_system(id);
  EXPECT_EQ(there["LifeCycleState"], "available");
  EXPECT_EQ(there["Encrypted"], true);
  EXPECT_EQ(there["ThroughputMode"], "elastic");
  EXPECT_TRUE(directories.contains(id));
  EXPECT_EQ(protection(id), "REPLICATING");
  EXPECT_EQ(protection(source), "ENABLED");
  EXPECT_EQ(described(source), described(id)) << "by either of its two";
}

TEST_F(Replication, ToANewOneZoneFileSystemNamesItsZone) {
  const auto made = replicate(make_file_system(), {{"AvailabilityZoneName", "us-east-1b"}, {"KmsKeyId", "alias/mine"}});
  const auto there = file_system(made["Destinations"][0]["FileSystemId"]);
  EXPECT_EQ(there["AvailabilityZoneName"], "us-east-1b");
  EXPECT_EQ(there["KmsKeyId"], "alias/mine");
  EXPECT_THAT(refused(make_file_system("other"), {{"AvailabilityZoneName", "us-east-1z"}}),
              HasSubstr("UnsupportedAvailabilityZone"));
}

TEST_F(Replication, ToAFileSystemThatIsThereTakesItsClientsTheRightToWrite) {
  const auto source = make_file_system(), destination = make_open("d");
  const int before = access_changes;
  replicate(source, {{"FileSystemId", destination}, {"Region", "us-east-1"}});
  EXPECT_EQ(protection(destination), "REPLICATING");
  EXPECT_GT(access_changes, before);
  EXPECT_THAT(
      refusal("UpdateFileSystemProtection", {{"FileSystemId", destination}, {"ReplicationOverwriteProtection", "DISABLED"}}),
      HasSubstr("ReplicationAlreadyExists"));
}

TEST_F(Replication, WhatCanNotBeADestinationIsRefusedAndNothingChanges) {
  const auto source = make_file_system(), closed = make_file_system("closed");
  EXPECT_THAT(refused(source, {{"FileSystemId", closed}}), HasSubstr("BadRequest: The replication overwrite protection"));
  EXPECT_THAT(refused(source, {{"FileSystemId", source}}), HasSubstr("BadRequest"));
  EXPECT_THAT(refused(source, {{"FileSystemId", "fs-00000000"}}), HasSubstr("FileSystemNotFound"));
  EXPECT_THAT(refused(source, {{"FileSystemId", "arn:aws:elasticfilesystem:us-east-1:999999999999:file-system/" + closed}}),
              HasSubstr("FileSystemNotFound"));
  EXPECT_THAT(refused("fs-00000000"), HasSubstr("FileSystemNotFound"));
  EXPECT_THAT(refused(source, {{"Region", "eu-west-1"}}), HasSubstr("BadRequest: Berth has one region"));
  EXPECT_THAT(refused(source, {{"RoleArn", "arn:aws:iam::123456789012:role/none"}}), HasSubstr("BadRequest: there is no role"));
  EXPECT_THAT(refused(source, {{"FileSystemId", make_open("open")}, {"KmsKeyId", "alias/x"}}), HasSubstr("BadRequest"));
  EXPECT_THAT(refusal("CreateReplicationConfiguration", {{"SourceFileSystemId", source}, {"Destinations", Json::array()}}),
              HasSubstr("BadRequest: a replication configuration has one destination"));
  const auto encrypted =
      must("CreateFileSystem", {{"CreationToken", "e"}, {"Encrypted", true}})["FileSystemId"].get<std::string>();
  EXPECT_THAT(refused(encrypted, {{"FileSystemId", make_open("plain")}}), HasSubstr("ConflictException"));
  replicate(encrypted, {{"FileSystemId", make_open("encrypted too", true)}});
  EXPECT_THAT(must("DescribeReplicationConfigurations", Json::object())["Replications"], SizeIs(1));
  EXPECT_EQ(code_of("DescribeReplicationConfigurations", {{"FileSystemId", source}}), "ReplicationNotFound");
  EXPECT_EQ(protection(closed), "ENABLED");
}

TEST_F(Replication, AFileSystemIsInOneAndCanNotBeDeletedMeanwhile) {
  const auto source = make_file_system(), other = make_open("other");
  const auto destination = replicate(source)["Destinations"][0]["FileSystemId"].get<std::string>();
  EXPECT_THAT(refused(source), HasSubstr("BadRequest")) << "again";
  EXPECT_THAT(refused(destination), HasSubstr("BadRequest")) << "a chain";
  EXPECT_THAT(refused(other, {{"FileSystemId", destination}}), HasSubstr("BadRequest"));
  EXPECT_THAT(refused(other, {{"FileSystemId", source}}), HasSubstr("BadRequest"));
  EXPECT_EQ(code_of("DeleteFileSystem", {{"FileSystemId", source}}), "FileSystemInUse");
  EXPECT_EQ(code_of("DeleteFileSystem", {{"FileSystemId", destination}}), "FileSystemInUse");
}

TEST_F(Replication, ADirectoryThatCanNotBeMadeLeavesNothingBehind) {
  const auto source = make_file_system();
  disk_is_full = true;
  EXPECT_THAT(refused(source), HasSubstr("InternalServerError"));
  disk_is_full = false;
  EXPECT_THAT(must("DescribeFileSystems", Json::object())["FileSystems"], SizeIs(1));
  EXPECT_EQ(code_of("DescribeReplicationConfigurations", {{"FileSystemId", source}}), "ReplicationNotFound");
}

TEST_F(Replication, PassesGoOnFromWhenTheLastCompleteOneBegan) {
  const auto source = make_file_system();
  const auto destination = replicate(source)["Destinations"][0]["FileSystemId"].get<std::string>();
  const auto first = world.clock().now();
  during_pass = [&] {
    EXPECT_EQ(destination_of(source)["Status"], "ENABLED");
    world.clock().advance(std::chrono::minutes(3));
  };
  EXPECT_TRUE(carry_out(source));
  EXPECT_EQ(destination_of(source)["LastReplicatedTimestamp"], to_epoch_seconds(first)) << "not when it ended";
  restart();
  EXPECT_TRUE(carry_out(source));
  EXPECT_THAT(passes, ElementsAre(source + " " + destination, source + " " + destination + " since " + to_iso8601(first)));
}

TEST_F(Replication, APassWithProblemsIsAnErrorThatSaysWhyUntilOneIsComplete) {
  const auto source = make_file_system();
  replicate(source);
  outcome = Report{.problems = 2, .first_problems = {"`a`: no space left on device"}, .stopped = false};
  carry_out(source);
  EXPECT_EQ(destination_of(source)["Status"], "ERROR");
  EXPECT_THAT(destination_of(source)["StatusMessage"].get<std::string>(), HasSubstr("`a`: no space left"));
  EXPECT_FALSE(destination_of(source).contains("LastReplicatedTimestamp"));
  outcome = fail(Code::failed_precondition, "another directory");
  carry_out(source);
  EXPECT_EQ(destination_of(source)["StatusMessage"], "another directory");
  outcome = Report{};
  carry_out(source);
  EXPECT_EQ(destination_of(source)["Status"], "ENABLED");
  EXPECT_FALSE(destination_of(source).contains("StatusMessage"));
}

TEST_F(Replication, DeletingItGivesTheDestinationBackToItsClients) {
  const auto source = make_file_system(), destination = make_open("d");
  replicate(source, {{"FileSystemId", destination}});
  carry_out(source);
  must("DeleteReplicationConfiguration", {{"SourceFileSystemId", source}});
  EXPECT_EQ(destination_of(source)["Status"], "DELETING");
  must("DeleteReplicationConfiguration", {{"SourceFileSystemId", source}, {"DeletionMode", "ALL_CONFIGURATIONS"}});
  restart();  // a daemon that dies here ends it later
  const int before = access_changes;
  EXPECT_FALSE(carry_out(source));
  EXPECT_GT(access_changes, before);
  EXPECT_EQ(protection(destination), "ENABLED");
  EXPECT_EQ(code_of("DescribeReplicationConfigurations", {{"FileSystemId", destination}}), "ReplicationNotFound");
  EXPECT_EQ(code_of("DeleteReplicationConfiguration", {{"SourceFileSystemId", source}}), "ReplicationNotFound");
  EXPECT_THAT(passes, SizeIs(1));
  must("DeleteFileSystem", {{"FileSystemId", destination}});
}

TEST_F(Replication, DeletedDuringAPassItEndsWithIt) {
  const auto source = make_file_system();
  replicate(source);
  during_pass = [&] { must("DeleteReplicationConfiguration", {{"SourceFileSystemId", source}}); };
  EXPECT_FALSE(carry_out(source));
  EXPECT_EQ(code_of("DescribeReplicationConfigurations", {{"FileSystemId", source}}), "ReplicationNotFound");
}

TEST_F(Replication, TheDestinationIsNoNameForDeletingIt) {
  const auto source = make_file_system();
  const auto destination = replicate(source)["Destinations"][0]["FileSystemId"].get<std::string>();
  EXPECT_EQ(code_of("DeleteReplicationConfiguration", {{"SourceFileSystemId", destination}}), "ReplicationNotFound");
}

TEST_F(Replication, ConfigurationsComeInPages) {
  for (const auto* token : {"a", "b", "c"}) replicate(make_file_system(token));
  const auto first = must("DescribeReplicationConfigurations", {{"MaxResults", 2}});
  EXPECT_THAT(first["Replications"], SizeIs(2));
  const auto second = must("DescribeReplicationConfigurations", {{"MaxResults", 2}, {"NextToken", first["NextToken"]}});
  EXPECT_THAT(second["Replications"], SizeIs(1));
  EXPECT_FALSE(second.contains("NextToken"));
}

TEST_F(Replication, AsksForTheSourceTheDestinationAndThePassedRole) {
  const std::string base = "arn:aws:elasticfilesystem:us-east-1:123456789012:file-system/";
  const auto to_new = resources("CreateReplicationConfiguration",
                                {{"SourceFileSystemId", "fs-1"}, {"Destinations", {{{"RoleArn", "arn:aws:iam::1:role/r"}}}}});
  ASSERT_THAT(to_new, SizeIs(3));
  EXPECT_EQ(to_new[0].arn, base + "fs-1");
  EXPECT_EQ(to_new[0].action, std::nullopt);
  EXPECT_EQ(to_new[1].action, "elasticfilesystem:CreateFileSystem");
  EXPECT_EQ(to_new[2].action, "iam:PassRole");
  const auto to_old = resources("CreateReplicationConfiguration",
                                {{"SourceFileSystemId", "fs-1"}, {"Destinations", {{{"FileSystemId", "fs-2"}}}}});
  ASSERT_THAT(to_old, SizeIs(2));
  EXPECT_EQ(to_old[1].arn, base + "fs-2");
  EXPECT_EQ(to_old[1].action, std::nullopt);
  EXPECT_EQ(resources("DeleteReplicationConfiguration", {{"SourceFileSystemId", "fs-1"}})[0].arn, base + "fs-1");
}

TEST_F(Replication, ThreadsCarryItOutAndStopAPassThatIsDeleted) {
  const auto source = make_file_system();
  std::atomic<bool> in_pass{false};
  replicator = std::make_unique<Replicator>(
      world.plane(),
      [&](const FileSystemId&, const FileSystemId&, std::optional<TimePoint>, Progress& progress) -> Result<Report> {
        in_pass = true;
        in_pass.notify_all();
        while (!progress.stop) std::this_thread::yield();
        return Report{.problems = 0, .first_problems = {}, .stopped = true};
      },
      nullptr, Replicator::Options{});
  replicate(source);
  replicator->start();
  in_pass.wait(false);
  EXPECT_THAT(replicator->progress(FileSystemId(source)), HasSubstr("0 entries"));
  must("DeleteReplicationConfiguration", {{"SourceFileSystemId", source}});
  replicator->changed(FileSystemId(source));
  while (code_of("DescribeReplicationConfigurations", {{"FileSystemId", source}}) != "ReplicationNotFound")
    std::this_thread::yield();
  EXPECT_THAT(replicator->counts(), IsEmpty());
}

}  // namespace
}  // namespace berth::services::efs

#include <gmock/gmock.h>

#include "tests/unit/services_efs/efs_world.hpp"

namespace berth::services::efs {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::StartsWith;

class FileSystems : public EfsWorld {};

TEST_F(FileSystems, ANewOneIsCreatingInItsAnswerAndAvailableAfterIt) {
  const auto created = must("CreateFileSystem",
                            {{"CreationToken", "demo"}, {"Encrypted", true}, {"Tags", {{{"Key", "Name"}, {"Value", "demo"}}}}});
  EXPECT_EQ(created["LifeCycleState"], "creating");
  EXPECT_EQ(created["OwnerId"], testing::kAccount);
  EXPECT_EQ(created["Name"], "demo");
  EXPECT_EQ(created["NumberOfMountTargets"], 0);
  EXPECT_EQ(created["SizeInBytes"]["Value"], 0);
  EXPECT_FALSE(created["SizeInBytes"].contains("Timestamp"));
  EXPECT_EQ(created["CreationTime"], to_epoch_seconds(world.clock().now()));
  const auto id = created["FileSystemId"].get<std::string>();
  EXPECT_THAT(id, StartsWith("fs-"));
  EXPECT_THAT(id, SizeIs(20));
  EXPECT_EQ(created["FileSystemArn"], "arn:aws:elasticfilesystem:us-east-1:123456789012:file-system/" + id);
  EXPECT_TRUE(directories.contains(id));
  const auto described = must("DescribeFileSystems", {{"FileSystemId", id}});
  ASSERT_THAT(described["FileSystems"], SizeIs(1));
  EXPECT_EQ(described["FileSystems"][0]["LifeCycleState"], "available");
}

TEST_F(FileSystems, TheSameCreationTokenNamesTheOneThatIsThere) {
  const auto id = make_file_system("demo");
  const auto again = call("CreateFileSystem", {{"CreationToken", "demo"}});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, "FileSystemAlreadyExists");
  ASSERT_NE(again.error().members, nullptr);
  EXPECT_EQ((*again.error().members)["FileSystemId"], id);
  EXPECT_THAT(directories, SizeIs(1));
}

TEST_F(FileSystems, ADirectoryThatCanNotBeMadeLeavesNothingBehind) {
  disk_is_full = true;
  const auto refused = call("CreateFileSystem", {{"CreationToken", "demo"}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "InternalServerError");
  EXPECT_THAT(refused.error().message, HasSubstr("no space left"));
  EXPECT_THAT(must("DescribeFileSystems", Json::object())["FileSystems"], SizeIs(0));
  disk_is_full = false;
  make_file_system("demo");
}

TEST_F(FileSystems, APlaceThatNobodyNamedIsTheCallersMistake) {
  const auto refused = call("CreateFileSystem",
                            {{"CreationToken", "demo"}, {"Tags", Json::array({{{"Key", "berth:place"}, {"Value", "nowhere"}}})}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "BadRequest");
  EXPECT_THAT(must("DescribeFileSystems", Json::object())["FileSystems"], SizeIs(0));
}

TEST_F(FileSystems, ThroughputFiguresGoWithProvisionedOnly) {
  EXPECT_EQ(code_of("CreateFileSystem", {{"CreationToken", "a"}, {"ThroughputMode", "provisioned"}}), "BadRequest");
  EXPECT_EQ(code_of("CreateFileSystem", {{"CreationToken", "a"}, {"ProvisionedThroughputInMibps", 5.0}}), "BadRequest");
  EXPECT_EQ(code_of("CreateFileSystem", {{"CreationToken", "a"}, {"ThroughputMode", "elastic"}, {"PerformanceMode", "maxIO"}}),
            "BadRequest");
  const auto made = must("CreateFileSystem",
                         {{"CreationToken", "a"}, {"ThroughputMode", "provisioned"}, {"ProvisionedThroughputInMibps", 5.0}});
  EXPECT_EQ(made["ProvisionedThroughputInMibps"], 5.0);
  const auto updated = must("UpdateFileSystem", {{"FileSystemId", made["FileSystemId"]}, {"ThroughputMode", "bursting"}});
  EXPECT_EQ(updated["ThroughputMode"], "bursting");
  EXPECT_FALSE(updated.contains("ProvisionedThroughputInMibps"));
}

TEST_F(FileSystems, TheModeChangesAndTheFigureDecreasesOnceADay) {
  const auto id = must("CreateFileSystem", {{"CreationToken", "a"}})["FileSystemId"];
  const auto provision = [&](double mibps) -> Json {
    return {{"FileSystemId", id}, {"ThroughputMode", "provisioned"}, {"ProvisionedThroughputInMibps", mibps}};
  };
  must("UpdateFileSystem", provision(100));
  must("UpdateFileSystem", provision(200));  // more at any time
  EXPECT_EQ(code_of("UpdateFileSystem", provision(50)), "TooManyRequests");
  EXPECT_EQ(code_of("UpdateFileSystem", {{"FileSystemId", id}, {"ThroughputMode", "elastic"}}), "TooManyRequests");
  world.clock().advance(std::chrono::hours(24));
  must("UpdateFileSystem", provision(50));
  EXPECT_EQ(code_of("UpdateFileSystem", {{"FileSystemId", id}, {"ThroughputMode", "bursting"}}), "TooManyRequests");
}

TEST_F(FileSystems, ThroughputHasItsLimitAndAnUpdateOfNothingIsRefused) {
  const auto id = must("CreateFileSystem", {{"CreationToken", "a"}})["FileSystemId"];
  EXPECT_EQ(code_of("UpdateFileSystem",
                    {{"FileSystemId", id}, {"ThroughputMode", "provisioned"}, {"ProvisionedThroughputInMibps", 1025.0}}),
            "ThroughputLimitExceeded");
  EXPECT_EQ(code_of("UpdateFileSystem", {{"FileSystemId", id}}), "BadRequest");
}

TEST_F(FileSystems, WhoHoldsThemToTheirThroughputIsToldOfEveryChange) {
  int told = 0;
  auto with_listener = parts();
  with_listener.throughput_changed = [&] { ++told; };
  service = make_service(with_listener);
  const auto id = must("CreateFileSystem", {{"CreationToken", "a"}})["FileSystemId"];
  EXPECT_EQ(told, 1);
  must("UpdateFileSystem", {{"FileSystemId", id}, {"ThroughputMode", "elastic"}});
  must("TagResource", {{"ResourceId", id}, {"Tags", {{{"Key", "berth:throughput"}, {"Value", "free"}}}}});
  EXPECT_EQ(told, 3);
  EXPECT_EQ(code_of("UpdateFileSystem", {{"FileSystemId", id}}), "BadRequest");
  EXPECT_EQ(told, 3);
}

TEST_F(FileSystems, OnlyWhatMayHaveChangedIsMeasuredAgain) {
  must("CreateFileSystem", {{"CreationToken", "a"}});
  int measured = 0;
  bool changed = false;
  auto asking = parts();
  asking.backing.measure = [&](const fuse::FileSystemId&, const std::set<std::string>&) -> Result<Sizes> {
    ++measured;
    return Sizes{4096, {{"/a", 4096}}};
  };
  std::map<std::string, std::uint64_t> directories_seen;
  asking.may_have_changed = [&](const fuse::FileSystemId&) { return changed; };
  asking.measured = [&](const fuse::FileSystemId&, const Sizes& sizes) { directories_seen = sizes.directories; };
  measure_sizes(asking);  // never measured yet
  measure_sizes(asking);
  EXPECT_EQ(measured, 1);
  EXPECT_EQ(directories_seen.at("/a"), 4096U);
  changed = true;
  measure_sizes(asking);
  EXPECT_EQ(measured, 2);
}

TEST_F(FileSystems, WhatBerthCanNotDoIsRefusedAndNotPromised) {
  EXPECT_EQ(code_of("CreateFileSystem", {{"CreationToken", "a"}, {"KmsKeyId", "alias/x"}}), "BadRequest");
  EXPECT_EQ(code_of("CreateFileSystem", {{"CreationToken", "a"}, {"AvailabilityZoneName", "eu-north-1a"}}),
            "UnsupportedAvailabilityZone");
  EXPECT_TRUE(directories.empty());
}

TEST_F(FileSystems, UnknownIdsAreNotFoundByIdAndByArn) {
  EXPECT_EQ(code_of("DescribeFileSystems", {{"FileSystemId", "fs-0123456789abcdef0"}}), "FileSystemNotFound");
  EXPECT_EQ(code_of("DeleteFileSystem", {{"FileSystemId", "fs-0123456789abcdef0"}}), "FileSystemNotFound");
  const auto created = must("CreateFileSystem", {{"CreationToken", "a"}});
  const auto found = must("DescribeFileSystems", {{"FileSystemId", created["FileSystemArn"]}});
  EXPECT_EQ(found["FileSystems"][0]["FileSystemId"], created["FileSystemId"]);
}

TEST_F(FileSystems, PagesShowEachOnceAndSayWhereTheyEnd) {
  std::set<std::string> made, seen;
  for (int i = 0; i < 5; ++i) made.insert(make_file_system("token " + std::to_string(i)));
  Json input{{"MaxItems", 2}};
  int pages = 0;
  for (bool more = true; more; ++pages) {
    const auto page = must("DescribeFileSystems", input);
    for (const auto& item : page["FileSystems"]) EXPECT_TRUE(seen.insert(item["FileSystemId"].get<std::string>()).second);
    more = page.contains("NextMarker");
    if (more) input["Marker"] = page["NextMarker"];
  }
  EXPECT_EQ(pages, 3);
  EXPECT_EQ(seen, made);
  EXPECT_EQ(code_of("DescribeFileSystems", {{"Marker", "%%%"}}), "BadRequest");
}

TEST_F(FileSystems, DeletingTakesTheDirectoryAndTheAccessPointsAlong) {
  const auto id = make_file_system();
  const auto access_point = must("CreateAccessPoint", {{"FileSystemId", id}, {"ClientToken", "c"}})["AccessPointId"];
  must("DeleteFileSystem", {{"FileSystemId", id}});
  EXPECT_TRUE(directories.empty());
  EXPECT_EQ(code_of("DescribeFileSystems", {{"FileSystemId", id}}), "FileSystemNotFound");
  EXPECT_EQ(code_of("DescribeAccessPoints", {{"AccessPointId", access_point}}), "AccessPointNotFound");
}

TEST_F(FileSystems, ACrashBetweenDecisionAndDirectoryIsSettledAtTheNextStart) {
  const auto id = make_file_system();
  disk_is_full = true;  // the removal stops half-way, as a crash would stop it
  must("DeleteFileSystem", {{"FileSystemId", id}});
  world.decide([&](control::Control& c) {
    auto half_made = c.catalog.file_systems().begin()->second;
    half_made.id = fuse::FileSystemId("fs-half");
    half_made.creation_token = "half";
    half_made.life_cycle = fuse::LifeCycle::creating;
    c.catalog.put(half_made);
  });
  disk_is_full = false;
  world.restart();
  make();
  settle(parts());
  EXPECT_EQ(directories, std::set<std::string>{"fs-half"});
  const auto all = must("DescribeFileSystems", Json::object())["FileSystems"];
  ASSERT_THAT(all, SizeIs(1));
  EXPECT_EQ(all[0]["LifeCycleState"], "available");
}

TEST_F(FileSystems, EverythingIsThereAfterARestart) {
  const auto id = make_file_system();
  must("TagResource", {{"ResourceId", id}, {"Tags", {{{"Key", "team"}, {"Value", "x"}}}}});
  const auto before = must("DescribeFileSystems", {{"FileSystemId", id}});
  world.restart();
  make();
  EXPECT_EQ(must("DescribeFileSystems", {{"FileSystemId", id}}), before);
}

TEST_F(FileSystems, TheSizeIsTheMeasuredOneWithTheTimeOfTheMeasurement) {
  const auto id = make_file_system();
  world.clock().advance(std::chrono::minutes(5));
  measure_sizes(parts());
  const auto size = must("DescribeFileSystems", {{"FileSystemId", id}})["FileSystems"][0]["SizeInBytes"];
  EXPECT_EQ(size["Value"], 8192);
  EXPECT_EQ(size["Timestamp"], to_epoch_seconds(world.clock().now()));
}

TEST_F(FileSystems, TagsOfBothApisAreTheSameTags) {
  const auto id = make_file_system();
  must("CreateTags", {{"FileSystemId", id}, {"Tags", {{{"Key", "a"}, {"Value", "1"}}, {{"Key", "b"}, {"Value", "2"}}}}});
  must("UntagResource", {{"ResourceId", id}, {"TagKeys", {"a"}}});
  EXPECT_EQ(must("DescribeTags", {{"FileSystemId", id}})["Tags"], Json::parse(R"([{"Key":"b","Value":"2"}])"));
  EXPECT_EQ(must("ListTagsForResource", {{"ResourceId", id}})["Tags"], Json::parse(R"([{"Key":"b","Value":"2"}])"));
  must("DeleteTags", {{"FileSystemId", id}, {"TagKeys", {"b"}}});
  EXPECT_THAT(must("DescribeTags", {{"FileSystemId", id}})["Tags"], SizeIs(0));
  EXPECT_EQ(code_of("TagResource", {{"ResourceId", "fsap-0123456789abcdef0"}, {"Tags", Json::array()}}), "AccessPointNotFound");
  EXPECT_EQ(code_of("TagResource", {{"ResourceId", id}, {"Tags", {{{"Key", "aws:x"}, {"Value", "1"}}}}}), "BadRequest");
}

}  // namespace
}  // namespace berth::services::efs

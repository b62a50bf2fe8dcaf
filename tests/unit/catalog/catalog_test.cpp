#include "fuse/catalog.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/control/catalog_codec.hpp"

namespace berth::fuse {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Change = Catalog::Change;

FileSystemRecord a_file_system(const std::string& id = "fs-1") {
  FileSystemRecord record;
  record.id = FileSystemId(id);
  record.arn = "arn:aws:elasticfilesystem:us-east-1:123456789012:file-system/" + id;
  record.owner = "123456789012";
  record.creation_token = "token-of-" + id;
  record.created = TimePoint{std::chrono::seconds{1'800'000'000}};
  record.life_cycle = LifeCycle::available;
  record.throughput_mode = "provisioned";
  record.provisioned_mibps = 12.5;
  record.encrypted = true;
  record.kms_key_id = "alias/aws/elasticfilesystem";
  record.zone = "us-east-1a";
  record.zone_id = "use1-az1";
  record.policy = R"({"Version":"2012-10-17","Statement":[]})";
  record.size_bytes = 6144;
  record.size_measured = record.created + std::chrono::microseconds{7};
  record.tags = {{"Name", "demo"}};
  return record;
}

MountTargetRecord a_mount_target(const std::string& id, const std::string& file_system, const std::string& zone) {
  return {.id = MountTargetId(id),
          .file_system = FileSystemId(file_system),
          .owner = "123456789012",
          .life_cycle = LifeCycle::available,
          .vpc = "vpc-1",
          .subnet = "subnet-1",
          .zone = zone,
          .zone_id = "use1-az1",
          .address = "10.0.1.4",
          .interface = "eni-1",
          .security_groups = {"sg-1", "sg-2"}};
}

AccessPointRecord an_access_point() {
  AccessPointRecord record;
  record.id = AccessPointId("fsap-1");
  record.arn = "arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/fsap-1";
  record.file_system = FileSystemId("fs-1");
  record.owner = "123456789012";
  record.client_token = "c";
  record.life_cycle = LifeCycle::available;
  record.identity = PosixUser{1000, 1001, {4, 4294967295U}};
  record.root = "/service";
  record.creation = CreationInfo{1000, 1001, 01770};
  record.tags = {{"team", "x"}};
  return record;
}

TEST(Catalog, NotesEachRecordThatChangedOnceAndForgetsIt) {
  Catalog catalog;
  catalog.put(a_file_system());
  catalog.edit(FileSystemId("fs-1"))->encrypted = false;
  catalog.put(an_access_point());
  EXPECT_THAT(catalog.take_changes(), ElementsAre(Change{"access-point", "fsap-1"}, Change{"file-system", "fs-1"}));
  EXPECT_THAT(catalog.take_changes(), IsEmpty());
}

TEST(Catalog, EditingWhatIsNotThereChangesNothing) {
  Catalog catalog;
  EXPECT_EQ(catalog.edit(FileSystemId("fs-1")), nullptr);
  EXPECT_THAT(catalog.take_changes(), IsEmpty());
}

TEST(Catalog, RestoringIsNoChange) {
  Catalog catalog;
  catalog.restore(a_file_system());
  EXPECT_NE(catalog.find(FileSystemId("fs-1")), nullptr);
  EXPECT_THAT(catalog.take_changes(), IsEmpty());
}

TEST(Catalog, AnErasedRecordIsAChangeWithoutText) {
  Catalog catalog;
  catalog.restore(a_file_system());
  // The id handed in may be the record's own.
  catalog.erase(catalog.file_systems().begin()->second.id);
  const auto changes = catalog.take_changes();
  ASSERT_THAT(changes, ElementsAre(Change{"file-system", "fs-1"}));
  EXPECT_EQ(control::encode_catalog_record(catalog, changes.front()), std::nullopt);
}

TEST(Catalog, FindsTheMountTargetOfAZoneOfThatFileSystemOnly) {
  Catalog catalog;
  catalog.restore(a_mount_target("fsmt-1", "fs-1", "us-east-1a"));
  catalog.restore(a_mount_target("fsmt-2", "fs-2", "us-east-1b"));
  ASSERT_NE(catalog.mount_target_in(FileSystemId("fs-1"), "us-east-1a"), nullptr);
  EXPECT_EQ(catalog.mount_target_in(FileSystemId("fs-1"), "us-east-1b"), nullptr);
}

TEST(Catalog, TokensAreOfTheirAccount) {
  Catalog catalog;
  catalog.restore(a_file_system());
  EXPECT_NE(catalog.find_by_token("123456789012", "token-of-fs-1"), nullptr);
  EXPECT_EQ(catalog.find_by_token("210987654321", "token-of-fs-1"), nullptr);
}

// Encodes a record, restores it into an empty catalog and encodes it again: nothing may be lost.
template <class Record>
std::pair<std::string, std::string> round_trip(const Record& record, const std::string& kind) {
  Catalog catalog, second;
  catalog.put(record);
  const Change change{kind, record.id.str()};
  const auto text = control::encode_catalog_record(catalog, change).value();
  EXPECT_TRUE(control::restore_catalog_record(second, kind, text));
  return {text, control::encode_catalog_record(second, change).value_or("")};
}

TEST(CatalogCodec, EveryKindOfRecordSurvivesTheStore) {
  for (const auto& [before, after] : {round_trip(a_file_system(), "file-system"), round_trip(an_access_point(), "access-point"),
                                      round_trip(a_mount_target("fsmt-1", "fs-1", "us-east-1a"), "mount-target")})
    EXPECT_EQ(before, after);
}

TEST(CatalogCodec, AnAccessPointsIdentityAndRootComeBack) {
  Catalog catalog, second;
  catalog.put(an_access_point());
  ASSERT_TRUE(control::restore_catalog_record(second, "access-point",
                                              control::encode_catalog_record(catalog, {"access-point", "fsap-1"}).value()));
  const auto* record = second.find(AccessPointId("fsap-1"));
  ASSERT_NE(record, nullptr);
  EXPECT_EQ(record->identity->gid, 1001U);
  EXPECT_THAT(record->identity->secondary_gids, ElementsAre(4U, 4294967295U));
  EXPECT_EQ(record->creation->permissions, 01770U);
  EXPECT_EQ(record->root, "/service");
}

TEST(CatalogCodec, DamagedTextAndUnknownKindsAreRefused) {
  Catalog catalog;
  EXPECT_FALSE(control::restore_catalog_record(catalog, "file-system", "{"));
  EXPECT_FALSE(control::restore_catalog_record(catalog, "file-system", R"({"id": 7})"));
  EXPECT_FALSE(control::restore_catalog_record(catalog, "task", "{}"));
  EXPECT_TRUE(catalog.file_systems().empty());
}

}  // namespace
}  // namespace berth::fuse

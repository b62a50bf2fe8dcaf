#include "broker/docker/volume_options.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::docker {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string refusal(const std::map<std::string, std::string>& options) {
  const auto read = read_volume_options(options);
  return read ? "not refused" : read.error().message;
}

TEST(VolumeOptions, AllOfThemAreRead) {
  const auto read = read_volume_options({{"file-system", "fs-01"},
                                         {"access-point", "fsap-02"},
                                         {"role", "writer"},
                                         {"zone", "us-east-1b"},
                                         {"read-only", "true"},
                                         {"io-uring", "true"}});
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, (VolumeOptions{.file_system = "fs-01",
                                  .access_point = "fsap-02",
                                  .role = "writer",
                                  .zone = "us-east-1b",
                                  .read_only = true,
                                  .io_uring = true}));
}

TEST(VolumeOptions, OnlyTheFileSystemMustBeNamed) {
  const auto read = read_volume_options({{"file-system", "fs-01"}});
  ASSERT_TRUE(read);
  EXPECT_EQ(read->path, "/");
  EXPECT_FALSE(read->read_only);
  EXPECT_FALSE(read->io_uring);
  EXPECT_THAT(refusal({}),
              AllOf(HasSubstr("-o file-system=fs-"), HasSubstr("access-point, path, role, zone, read-only and io-uring")));
}

TEST(VolumeOptions, ReadOnlyIsTrueFalseOrBare) {
  EXPECT_TRUE(read_volume_options({{"file-system", "fs-01"}, {"read-only", ""}})->read_only);
  EXPECT_FALSE(read_volume_options({{"file-system", "fs-01"}, {"read-only", "false"}})->read_only);
  EXPECT_THAT(refusal({{"file-system", "fs-01"}, {"read-only", "yes"}}), HasSubstr("true or false, not `yes`"));
}

TEST(VolumeOptions, AnUnknownOneIsToldWhichThereAre) {
  EXPECT_THAT(refusal({{"file-system", "fs-01"}, {"filesystem", "x"}}),
              AllOf(HasSubstr("no option `filesystem`"),
                    HasSubstr("file-system, access-point, path, role, zone, read-only and io-uring")));
}

TEST(VolumeOptions, ValuesThatCannotBeRightAreToldWhy) {
  EXPECT_THAT(refusal({{"file-system", "fs-../../etc"}}), HasSubstr("the id of a file system"));
  EXPECT_THAT(refusal({{"file-system", "data"}}), HasSubstr("the id of a file system"));
  EXPECT_THAT(refusal({{"file-system", "fs-01"}, {"access-point", "fs-01"}}), HasSubstr("the id of an access point"));
  EXPECT_THAT(refusal({{"file-system", "fs-01"}, {"path", "sub"}}), HasSubstr("`/sub`, not `sub`"));
  EXPECT_THAT(refusal({{"file-system", "fs-01"}, {"path", "/sub"}, {"access-point", "fsap-1"}}),
              HasSubstr("leave the option path out"));
  EXPECT_THAT(refusal({{"file-system", "fs-01"}, {"role", ""}}), HasSubstr("option role has no value"));
}

TEST(VolumeName, IsOneThatADirectoryCanHaveAnywhere) {
  for (const char* name : {"data", "A", "0a", "my_volume-1.2", "compose_data"}) EXPECT_TRUE(check_volume_name(name)) << name;
  for (const char* name : {"", ".", "..", ".hidden", "-x", "a/b", "a b", "\xc3\xa4", "a\n"})
    EXPECT_FALSE(check_volume_name(name)) << name;
  EXPECT_TRUE(check_volume_name(std::string(200, 'a')));
  EXPECT_FALSE(check_volume_name(std::string(201, 'a')));
}

}  // namespace
}  // namespace berth::docker

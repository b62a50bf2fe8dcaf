#include "broker/store/state_directory.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "broker/store/private_file.hpp"
#include "tests/unit/store/temporary_folder.hpp"

namespace berth::store {
namespace {

unsigned mode_of(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 ? status.st_mode & 0777 : 0;
}

TEST(StateDirectory, IsMadePrivateWithItsFolders) {
  const TemporaryFolder folder;
  const auto directory = StateDirectory::prepare(folder.file("a/b/state/"));
  ASSERT_TRUE(directory) << directory.error().message;
  EXPECT_EQ(directory->path(), folder.file("a/b/state"));
  EXPECT_EQ(mode_of(directory->path()), 0700U);
  EXPECT_EQ(mode_of(directory->runtime()), 0700U);
  EXPECT_EQ(mode_of(directory->file_systems()), 0700U);
}

// `berth up` on a port that was taken made a state directory that the next `berth up` refused.
TEST(StateDirectory, WhatAFirstStartThatFailedHasLeftIsNotOtherThings) {
  const TemporaryFolder folder;
  const auto path = folder.file("state");
  ASSERT_TRUE(StateDirectory::prepare(path));
  EXPECT_TRUE(StateDirectory::prepare(path));
}

TEST(StateDirectory, AFolderWithOtherThingsIsRefusedAndLeftAsItIs) {
  const TemporaryFolder folder;
  std::ofstream(folder.file("letter")) << "dear";
  ::chmod(folder.file("").c_str(), 0755);
  const auto directory = StateDirectory::prepare(folder.file(""));
  ASSERT_FALSE(directory);
  EXPECT_THAT(directory.error().message, testing::HasSubstr("holds other things than Berth's"));
  EXPECT_EQ(mode_of(folder.file("")), 0755U);
}

TEST(StateDirectory, TheKeyIsMadeOnceAndPrivate) {
  const TemporaryFolder folder;
  const auto directory = StateDirectory::prepare(folder.file("state"));
  ASSERT_TRUE(directory);
  SystemRandom random;
  const auto first = load_or_make_key(*directory, random);
  const auto second = load_or_make_key(*directory, random);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->reveal().size(), 32U);
  EXPECT_EQ(first->reveal(), second->reveal());
  EXPECT_EQ(mode_of(directory->keys()), 0600U);
}

TEST(StateDirectory, ADamagedKeyIsNotReplaced) {
  const TemporaryFolder folder;
  const auto directory = StateDirectory::prepare(folder.file("state"));
  ASSERT_TRUE(directory && write_private_file(directory->keys(), "short"));
  SystemRandom random;
  EXPECT_FALSE(load_or_make_key(*directory, random));
  EXPECT_EQ(read_file(directory->keys()), "short");
}

TEST(StateDirectory, TheAdministratorsCredentialsAreReadAsTheyWereWritten) {
  const TemporaryFolder folder;
  const auto directory = StateDirectory::prepare(folder.file("state"));
  ASSERT_TRUE(directory);
  EXPECT_EQ(read_credentials(*directory).error().code, Code::not_found);
  ASSERT_TRUE(write_credentials(*directory, {"123456789012", "us-east-1", "AKIAEXAMPLE", Secret{"s/e+c\"ret"}}));
  const auto read = read_credentials(*directory);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->account, "123456789012");
  EXPECT_EQ(read->region, "us-east-1");
  EXPECT_EQ(read->access_key_id, "AKIAEXAMPLE");
  EXPECT_EQ(read->secret_access_key.reveal(), "s/e+c\"ret");
  EXPECT_EQ(mode_of(directory->credentials()), 0600U);
  ASSERT_TRUE(write_private_file(directory->credentials(), "{}"));
  EXPECT_THAT(read_credentials(*directory).error().message, testing::HasSubstr("damaged"));
}

}  // namespace
}  // namespace berth::store

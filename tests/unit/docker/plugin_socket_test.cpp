#include "broker/docker/plugin_socket.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <optional>

namespace berth::docker {
namespace {

class PluginSocketTest : public ::testing::Test {
 protected:
  PluginSocketTest() {
    std::string name = (std::filesystem::temp_directory_path() / "berth-test-XXXXXX").string();
    directory = ::mkdtemp(name.data());
    path = directory / "docker" / "plugins" / "berth.sock";
  }
  ~PluginSocketTest() override { std::filesystem::remove_all(directory); }
  Result<PluginSocket> open() { return PluginSocket::open(path.string()); }

  std::filesystem::path directory, path;
};

TEST_F(PluginSocketTest, ItsDirectoryIsMadeAndOnlyItsOwnerMayConnect) {
  const auto socket = open();
  ASSERT_TRUE(socket) << socket.error().message;
  struct stat status{};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_TRUE(S_ISSOCK(status.st_mode));
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST_F(PluginSocketTest, OneThatAnotherDaemonServesIsLeftToIt) {
  const auto first = open();
  ASSERT_TRUE(first);
  const auto second = open();
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message,
              ::testing::AllOf(::testing::HasSubstr(path.string()), ::testing::HasSubstr("--docker-plugin")));
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST_F(PluginSocketTest, TheFileOfADeadDaemonIsReplaced) {
  ASSERT_TRUE(open());  // gone at once, and its file with it
  EXPECT_FALSE(std::filesystem::exists(path));
  {
    auto first = open();
    ASSERT_TRUE(first);
    std::filesystem::rename(path, directory / "kept");
  }
  std::filesystem::rename(directory / "kept", path);
  EXPECT_TRUE(open());
}

TEST_F(PluginSocketTest, AnotherDaemonsFileIsNotRemoved) {
  std::optional<PluginSocket> first(open().value());
  std::filesystem::remove(path);
  const auto second = open();
  ASSERT_TRUE(second);
  first.reset();
  EXPECT_TRUE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace berth::docker

#include "broker/docker/volume_protocol.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace berth::docker {
namespace {

using ::testing::_;
using ::testing::HasSubstr;
using ::testing::Return;
using Json = nlohmann::json;
using Texts = std::map<std::string, std::string>;

class MockDriver : public VolumeDriver {
 public:
  MOCK_METHOD(Result<>, create, (const std::string&, (const Texts&)), (override));
  MOCK_METHOD(Result<>, remove, (const std::string&), (override));
  MOCK_METHOD(Result<std::string>, mount, (const std::string&, const std::string&), (override));
  MOCK_METHOD(Result<>, unmount, (const std::string&, const std::string&), (override));
  MOCK_METHOD(Result<VolumeView>, get, (const std::string&), (override));
  MOCK_METHOD(Result<std::string>, path, (const std::string&), (override));
  MOCK_METHOD(std::vector<VolumeView>, list, (), (override));
};

class VolumeProtocol : public ::testing::Test {
 protected:
  // The status and the object that is answered.
  std::pair<int, Json> ask(const std::string& target, const std::string& body, const std::string& method = "POST") {
    const auto response = handle_volume_request(driver, {.method = method, .target = target, .body = body});
    return {response.status, Json::parse(response.body)};
  }

  ::testing::StrictMock<MockDriver> driver;
};

TEST_F(VolumeProtocol, ThePluginSaysWhatItIs) {
  EXPECT_EQ(ask("/Plugin.Activate", ""), std::pair(200, Json({{"Implements", {"VolumeDriver"}}})));
  EXPECT_EQ(ask("/VolumeDriver.Capabilities", "{}"), std::pair(200, Json({{"Capabilities", {{"Scope", "local"}}}})));
}

TEST_F(VolumeProtocol, CreateHandsNameAndOptionsOver) {
  EXPECT_CALL(driver, create("data", Texts{{"file-system", "fs-1"}})).WillOnce(Return(Result<>{}));
  EXPECT_EQ(ask("/VolumeDriver.Create", R"({"Name":"data","Opts":{"file-system":"fs-1"}})"), std::pair(200, Json({{"Err", ""}})));
}

TEST_F(VolumeProtocol, OptionsMayBeNullOrMissing) {
  EXPECT_CALL(driver, create("data", Texts{})).Times(2).WillRepeatedly(Return(Result<>{}));
  EXPECT_EQ(ask("/VolumeDriver.Create", R"({"Name":"data","Opts":null})").first, 200);
  EXPECT_EQ(ask("/VolumeDriver.Create", R"({"Name":"data"})").first, 200);
}

TEST_F(VolumeProtocol, MountAndUnmountNameWhoMounts) {
  EXPECT_CALL(driver, mount("data", "b87d")).WillOnce(Return("/state/volumes/data"));
  EXPECT_CALL(driver, unmount("data", "b87d")).WillOnce(Return(Result<>{}));
  EXPECT_EQ(ask("/VolumeDriver.Mount", R"({"Name":"data","ID":"b87d"})"),
            std::pair(200, Json({{"Mountpoint", "/state/volumes/data"}, {"Err", ""}})));
  EXPECT_EQ(ask("/VolumeDriver.Unmount", R"({"Name":"data","ID":"b87d"})").first, 200);
}

TEST_F(VolumeProtocol, AnErrorIsATextWithStatus500AndNever404) {
  EXPECT_CALL(driver, get("none")).WillOnce(Return(fail(Code::not_found, "there is no volume `none`")));
  EXPECT_CALL(driver, mount("data", _)).WillOnce(Return(fail(Code::permission_denied, "denied by statement 1")));
  EXPECT_EQ(ask("/VolumeDriver.Get", R"({"Name":"none"})"), std::pair(500, Json({{"Err", "there is no volume `none`"}})));
  EXPECT_EQ(ask("/VolumeDriver.Mount", R"({"Name":"data","ID":"1"})"), std::pair(500, Json({{"Err", "denied by statement 1"}})));
}

TEST_F(VolumeProtocol, GetShowsTheOptionsByTheirNames) {
  const VolumeView volume{.name = "data",
                          .mountpoint = "/state/volumes/data",
                          .options = {.file_system = "fs-1", .access_point = "fsap-1", .role = "arn:r", .zone = "us-east-1a"},
                          .rights = "read only, root is nobody",
                          .mounts = 2};
  EXPECT_CALL(driver, get("data")).WillOnce(Return(volume));
  EXPECT_CALL(driver, list()).WillOnce(Return(std::vector{volume}));
  const auto shown = ask("/VolumeDriver.Get", R"({"Name":"data"})").second["Volume"];
  EXPECT_EQ(shown["CreatedAt"], "1970-01-01T00:00:00Z");
  EXPECT_EQ(shown["Status"], Json({{"file-system", "fs-1"},
                                   {"access-point", "fsap-1"},
                                   {"role", "arn:r"},
                                   {"zone", "us-east-1a"},
                                   {"read-only", false},
                                   {"io-uring", false},
                                   {"rights", "read only, root is nobody"},
                                   {"mounts", 2}}));
  EXPECT_EQ(ask("/VolumeDriver.List", "").second["Volumes"], Json({{{"Name", "data"}, {"Mountpoint", "/state/volumes/data"}}}));
}

TEST_F(VolumeProtocol, WhatIsNoRequestIsToldSo) {
  for (const auto& [target, body, expected] : std::vector<std::tuple<std::string, std::string, std::string>>{
           {"/VolumeDriver.Create", "", "no body"},
           {"/VolumeDriver.Create", "[]", "not a JSON object"},
           {"/VolumeDriver.Create", "{", "not a JSON object"},
           {"/VolumeDriver.Create", R"({"Name":7})", "member Name"},
           {"/VolumeDriver.Create", R"({"Name":"data","Opts":[]})", "member Opts"},
           {"/VolumeDriver.Create", R"({"Name":"data","Opts":{"read-only":true}})", "option read-only is no text"},
           {"/VolumeDriver.Snapshot", "{}", "VolumeDriver.Snapshot"},
           {"/NetworkDriver.Join", "{}", "volume plugin"}}) {
    const auto [status, answer] = ask(target, body);
    EXPECT_EQ(status, 500) << target;
    EXPECT_THAT(answer["Err"].get<std::string>(), HasSubstr(expected));
  }
  EXPECT_THAT(ask("/VolumeDriver.List", "", "GET").second["Err"].get<std::string>(), HasSubstr("POST"));
}

}  // namespace
}  // namespace berth::docker

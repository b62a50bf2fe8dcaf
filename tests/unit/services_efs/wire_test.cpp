// The service as a client sees it: REST-JSON in, REST-JSON out, through the dispatcher and the shape table.
#include <gmock/gmock.h>

#include "broker/api/dispatcher.hpp"
#include "broker/api/registry.hpp"
#include "tests/unit/services_efs/efs_world.hpp"

namespace berth::services::efs {
namespace {

class Wire : public EfsWorld {
 protected:
  http::Response send(const std::string& method, const std::string& path, const std::string& body = "") {
    return dispatcher.handle(
        {.method = method,
         .target = "/2015-02-01" + path,
         .headers = {{"Authorization", "AWS4-HMAC-SHA256 Credential=AKIA/20261123/us-east-1/elasticfilesystem/aws4_request"}},
         .body = body,
         .listener = "front-door"});
  }
  static std::string header(const http::Response& response, const char* name) {
    const auto* value = http::find_header(response.headers, name);
    return value == nullptr ? "" : *value;
  }

  api::Registry registry{[this] {
    std::vector<api::Service> services;
    services.push_back(make_service(parts()));
    return services;
  }()};
  api::Dispatcher dispatcher{{.registry = registry,
                              .clock = world.clock(),
                              .random = world.random(),
                              .authenticate =
                                  [this](const http::Request&, TimePoint) {
                                    return credentials::Authenticated{context().caller, "us-east-1", "elasticfilesystem"};
                                  },
                              .authorize =
                                  [this](const api::CallContext&, const std::string& action, const api::ResourceAccess& access) {
                                    authorized.push_back(action + " " + access.arn);
                                    return std::nullopt;
                                  },
                              .account = testing::kAccount,
                              .region = "us-east-1"}};
  std::vector<std::string> authorized;
};

TEST_F(Wire, AFileSystemIsCreatedWith201AndDeletedWith204) {
  const auto created = send("POST", "/file-systems", R"({"CreationToken": "demo", "Tags": [{"Key": "Name", "Value": "demo"}]})");
  ASSERT_EQ(created.status, 201) << created.body;
  const auto id = Json::parse(created.body)["FileSystemId"].get<std::string>();
  const auto described = send("GET", "/file-systems?FileSystemId=" + id + "&MaxItems=1");
  EXPECT_EQ(described.status, 200);
  EXPECT_EQ(Json::parse(described.body)["FileSystems"][0]["LifeCycleState"], "available");
  EXPECT_EQ(send("DELETE", "/file-systems/" + id).status, 204);
  const std::string arn = "arn:aws:elasticfilesystem:us-east-1:123456789012:file-system/";
  EXPECT_EQ(authorized,
            (std::vector<std::string>{
                "elasticfilesystem:CreateFileSystem " + arn + "*", "elasticfilesystem:TagResource " + arn + "*",
                "elasticfilesystem:DescribeFileSystems " + (arn + id), "elasticfilesystem:DeleteFileSystem " + (arn + id)}));
}

TEST_F(Wire, ErrorsHaveTheirStatusTheirCodeAndTheIdOfWhatIsThere) {
  const auto id = make_file_system("demo");
  const auto again = send("POST", "/file-systems", R"({"CreationToken": "demo"})");
  EXPECT_EQ(again.status, 409);
  const auto body = Json::parse(again.body);
  EXPECT_EQ(body["ErrorCode"], "FileSystemAlreadyExists");
  EXPECT_EQ(body["FileSystemId"], id);
  EXPECT_EQ(header(again, "x-amzn-errortype"), "FileSystemAlreadyExists");
  EXPECT_EQ(send("GET", "/file-systems?FileSystemId=fs-0123456789abcdef0").status, 404);
  EXPECT_EQ(send("GET", "/file-systems/" + id + "/policy").status, 404);
}

TEST_F(Wire, MountTargetsAccessPointsPoliciesAndTagsPassTheirShapes) {
  const auto network = world.make_network();
  const auto id = make_file_system();
  const auto target = send("POST", "/mount-targets", Json({{"FileSystemId", id}, {"SubnetId", network.subnet_a.str()}}).dump());
  EXPECT_EQ(target.status, 200) << target.body;
  EXPECT_EQ(send("GET", "/mount-targets?FileSystemId=" + id).status, 200);
  const auto point = send("POST", "/access-points",
                          Json({{"FileSystemId", id}, {"ClientToken", "c"}, {"PosixUser", {{"Uid", 1}, {"Gid", 2}}}}).dump());
  EXPECT_EQ(point.status, 200) << point.body;
  const auto policy =
      R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"elasticfilesystem:ClientMount"}]})";
  const auto put = send("PUT", "/file-systems/" + id + "/policy", Json({{"Policy", policy}}).dump());
  EXPECT_EQ(put.status, 200) << put.body;
  EXPECT_EQ(send("POST", "/resource-tags/" + id, R"({"Tags": [{"Key": "a", "Value": "1"}]})").status, 200);
  EXPECT_EQ(send("DELETE", "/resource-tags/" + id + "?tagKeys=a").status, 200);
  const auto tags = send("GET", "/resource-tags/" + id);
  EXPECT_EQ(Json::parse(tags.body)["Tags"], Json::array()) << tags.body;
  EXPECT_EQ(send("DELETE", "/file-systems/" + id).status, 409) << "in use";
}

}  // namespace
}  // namespace berth::services::efs

#include "tests/unit/protocol/support.hpp"

namespace berth::protocol {
namespace {

std::string found(const std::string& method, const std::string& target) {
  auto operation = operation_of(model("efs"), rest_request(method, target));
  return operation ? (*operation)->name : operation.error().code;
}

TEST(RestJson, MethodAndPathNameTheOperation) {
  EXPECT_EQ(found("POST", "/2015-02-01/file-systems"), "CreateFileSystem");
  EXPECT_EQ(found("GET", "/2015-02-01/file-systems?MaxItems=3"), "DescribeFileSystems");
  EXPECT_EQ(found("DELETE", "/2015-02-01/file-systems/fs-12345678"), "DeleteFileSystem");
  EXPECT_EQ(found("GET", "/2015-02-01/file-systems/fs-12345678/policy"), "DescribeFileSystemPolicy");
  EXPECT_EQ(found("GET", "/2015-02-01/file-systems/replication-configurations"), "DescribeReplicationConfigurations");
  EXPECT_EQ(found("GET", "/2015-02-01/tags/fs-12345678/"), "DescribeTags");
  EXPECT_EQ(found("GET", "/2015-02-01/tags/fs-12345678"), "DescribeTags");
}

TEST(RestJson, APathOfNoOperationIs404) {
  EXPECT_EQ(found("PATCH", "/2015-02-01/file-systems"), "UnknownOperationException");
  EXPECT_EQ(found("GET", "/2015-02-01/disks"), "UnknownOperationException");
  EXPECT_EQ(found("DELETE", "/2015-02-01/file-systems//"), "UnknownOperationException");
  EXPECT_EQ(encode_error(model("efs"), fault(Protocol::rest_json, Fault::unknown_operation, "x"), "id").status, 404);
}

TEST(RestJson, LabelsAreDecodedOnce) {
  const Json input =
      decoded("efs", "ListTagsForResource",
              rest_request("GET", "/2015-02-01/resource-tags/arn%3Aaws%3Aelasticfilesystem%3Ax%2Ffs-1%252F?MaxResults=5"));
  EXPECT_EQ(input, (Json{{"ResourceId", "arn:aws:elasticfilesystem:x/fs-1%2F"}, {"MaxResults", 5}}));
}

TEST(RestJson, ListsComeAsRepeatedParameters) {
  const Json input =
      decoded("efs", "UntagResource", rest_request("DELETE", "/2015-02-01/resource-tags/fs-12345678?tagKeys=a&tagKeys=b%20c"));
  EXPECT_EQ(input, (Json{{"ResourceId", "fs-12345678"}, {"TagKeys", {"a", "b c"}}}));
}

TEST(RestJson, BodyAndPathTogether) {
  const Json input =
      decoded("efs", "PutFileSystemPolicy",
              rest_request("PUT", "/2015-02-01/file-systems/fs-12345678/policy",
                           R"({"Policy":"{}","BypassPolicyLockoutSafetyCheck":true,"FileSystemId":"fs-ignored"})"));
  EXPECT_EQ(input, (Json{{"FileSystemId", "fs-12345678"}, {"Policy", "{}"}, {"BypassPolicyLockoutSafetyCheck", true}}));
}

TEST(RestJson, ANumberThatIsNoneIsASerializationException) {
  EXPECT_EQ(refused("efs", "DescribeFileSystems", rest_request("GET", "/2015-02-01/file-systems?MaxItems=many")).code,
            "SerializationException");
}

TEST(RestJson, AWrongValueIsABadRequestToEfs) {
  const WireError error = refused("efs", "DeleteMountTarget", rest_request("DELETE", "/2015-02-01/mount-targets/mt-1"));
  EXPECT_EQ(error.code, "BadRequest");
  const auto response = encode_error(model("efs"), error, "id");
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(Json::parse(response.body)["ErrorCode"], "BadRequest");
}

TEST(RestJson, IdsOfTheRightFormPass) {
  for (const char* id : {"fs-12345678", "arn:aws:elasticfilesystem:us-east-1:123456789012:file-system/fs-0123456789abcdef0"}) {
    const Json input{{"FileSystemId", id}, {"SubnetId", "subnet-12345678"}};
    const auto wrong = validate(model("efs"), operation("efs", "CreateMountTarget"), input);
    EXPECT_FALSE(wrong) << wrong->message;
  }
}

TEST(RestJson, AnswersWithTheStatusOfTheTable) {
  const auto created = encode(model("efs"), operation("efs", "CreateFileSystem"),
                              {{"FileSystemId", "fs-1"}, {"CreationTime", 1764000000}}, "id-4");
  EXPECT_EQ(created.status, 201);
  EXPECT_EQ(Json::parse(created.body), (Json{{"FileSystemId", "fs-1"}, {"CreationTime", 1764000000}}));
  EXPECT_EQ(header(created, "x-amzn-requestid"), "id-4");
  const auto deleted = encode(model("efs"), operation("efs", "DeleteFileSystem"), Json::object(), "id");
  EXPECT_EQ(deleted.status, 204);
  EXPECT_EQ(deleted.body, "");
}

TEST(RestJson, ErrorsNameTheirCodeInBodyAndHeader) {
  WireError error{"FileSystemAlreadyExists", "there is one", std::make_shared<Json>(Json{{"FileSystemId", "fs-1"}}), 0};
  const auto response = encode_error(model("efs"), error, "id");
  EXPECT_EQ(response.status, 409);
  EXPECT_EQ(Json::parse(response.body),
            (Json{{"ErrorCode", "FileSystemAlreadyExists"}, {"Message", "there is one"}, {"FileSystemId", "fs-1"}}));
  EXPECT_EQ(header(response, "x-amzn-errortype"), "FileSystemAlreadyExists");
}

TEST(RestJson, ADenialIs403) {
  const auto response = encode_error(model("efs"), fault(Protocol::rest_json, Fault::access_denied, "no"), "id");
  EXPECT_EQ(response.status, 403);
  EXPECT_EQ(header(response, "x-amzn-errortype"), "AccessDeniedException");
}

}  // namespace
}  // namespace berth::protocol

#include "tests/unit/protocol/support.hpp"

namespace berth::protocol {
namespace {

constexpr const char* kTarget = "AmazonEC2ContainerServiceV20141113.";

http::Request ecs(const std::string& name, const std::string& body) { return json_request(kTarget + name, body); }

TEST(AwsJson, TheTargetNamesTheOperation) {
  auto found = operation_of(model("ecs"), ecs("RunTask", "{}"));
  ASSERT_TRUE(found);
  EXPECT_EQ((*found)->name, "RunTask");
}

TEST(AwsJson, AnUnknownOperationIsRefusedWith400) {
  for (const auto& request :
       {ecs("FlyTask", "{}"), json_request("Logs_20140328.CreateLogGroup", "{}"), rest_request("POST", "/")}) {
    auto found = operation_of(model("ecs"), request);
    ASSERT_FALSE(found);
    const auto response = encode_error(model("ecs"), found.error(), "id-1");
    EXPECT_EQ(response.status, 400);
    EXPECT_EQ(Json::parse(response.body)["__type"], "UnknownOperationException");
    EXPECT_EQ(header(response, "x-amzn-requestid"), "id-1");
  }
}

TEST(AwsJson, UnknownMembersAndNullsAreLeftOut) {
  const Json input =
      decoded("ecs", "RunTask", ecs("RunTask", R"({"taskDefinition":"web","count":2,"group":null,"hat":{"x":1}})"));
  EXPECT_EQ(input, (Json{{"taskDefinition", "web"}, {"count", 2}}));
}

TEST(AwsJson, AnEmptyBodyIsAnEmptyInput) { EXPECT_EQ(decoded("ecs", "ListClusters", ecs("ListClusters", "")), Json::object()); }

TEST(AwsJson, NestedStructuresListsAndMapsAreRead) {
  const Json wire = Json::parse(R"({"family":"f","containerDefinitions":[{"name":"c","image":"host","memory":64,"essential":true,
    "command":["sh","-c","true"],"dockerLabels":{"a.b":"c"},"portMappings":[{"containerPort":80}]}],
    "volumes":[{"name":"v","efsVolumeConfiguration":{"fileSystemId":"fs-12345678","transitEncryption":"ENABLED"}}]})");
  EXPECT_EQ(decoded("ecs", "RegisterTaskDefinition", ecs("RegisterTaskDefinition", wire.dump())), wire);
}

TEST(AwsJson, WrongTypesAreSerializationExceptions) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"taskDefinition":7})", "NUMBER_VALUE can not be converted to a String"},
      {R"({"taskDefinition":"a","count":"two"})", "STRING_VALUE can not be converted to an Integer"},
      {R"({"taskDefinition":"a","count":1.5})", "DECIMAL_VALUE can not be converted to an Integer"},
      {R"({"taskDefinition":"a","count":3000000000})", "NUMBER_VALUE can not be converted to an Integer"},
      {R"({"taskDefinition":"a","count":18446744073709551615})", "NUMBER_VALUE can not be converted to an Integer"},
      {R"({"taskDefinition":["a"]})", "Start of list found where not expected"},
      {R"({"taskDefinition":{"a":1}})", "Start of structure or map found where not expected."},
      {R"({"taskDefinition":"a","tags":"x"})", "Expected list or null"},
      {R"({"taskDefinition":"a","enableECSManagedTags":"true"})", "STRING_VALUE can not be converted to a Boolean"},
      {R"({"taskDefinition":)", "The body is not JSON"},
      {R"([1])", "The body is not a JSON object"},
      {"{\"taskDefinition\":\"\xff\"}", "The body is not JSON"},
  };
  for (const auto& [body, message] : cases) {
    const WireError error = refused("ecs", "RunTask", ecs("RunTask", body));
    EXPECT_EQ(error.code, "SerializationException") << body;
    EXPECT_EQ(error.message, message) << body;
    EXPECT_EQ(encode_error(model("ecs"), error, "id").status, 400);
  }
}

TEST(AwsJson, NestingWithoutEndIsRefusedBeforeItIsParsed) {
  const std::string deep = R"({"taskDefinition":)" + std::string(1'000'000, '[');
  EXPECT_EQ(refused("ecs", "RunTask", ecs("RunTask", deep)).code, "SerializationException");
}

TEST(AwsJson, BracketsInTextAreNotNesting) {
  const std::string text(200, '[');
  EXPECT_EQ(decoded("ecs", "RunTask", ecs("RunTask", R"({"taskDefinition":"\")" + text + R"("})"))["taskDefinition"],
            "\"" + text);
}

TEST(AwsJson, WholeNumbersMayComeAsDecimals) {
  EXPECT_EQ(decoded("ecs", "RunTask", ecs("RunTask", R"({"taskDefinition":"a","count":2.0})"))["count"], 2);
}

TEST(AwsJson, AnswersOnlyWhatTheShapeHas) {
  const Json output{{"clusterArns", {"arn:1"}}, {"nextToken", nullptr}, {"secret", 1}};
  const auto response = encode(model("ecs"), operation("ecs", "ListClusters"), output, "id-2");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(Json::parse(response.body), (Json{{"clusterArns", {"arn:1"}}}));
  EXPECT_EQ(header(response, "content-type"), "application/x-amz-json-1.1");
  EXPECT_EQ(header(response, "x-amzn-requestid"), "id-2");
}

TEST(AwsJson, TimeStampsAreNumbers) {
  const Json output{{"tasks", {{{"taskArn", "a"}, {"createdAt", 1764000000.123}}}}};
  const auto response = encode(model("ecs"), operation("ecs", "DescribeTasks"), output, "id");
  EXPECT_NE(response.body.find("1764000000.123"), std::string::npos);
}

TEST(AwsJson, BrokenTextIsMendedRatherThanLost) {
  const auto response = encode(model("ecs"), operation("ecs", "ListClusters"), {{"nextToken", "a\xff"}}, "id");
  EXPECT_EQ(Json::parse(response.body)["nextToken"], "a\xEF\xBF\xBD");
}

TEST(AwsJson, ErrorsCarryTypeMessageAndTheirMembers) {
  WireError error{"ConflictException", "taken", std::make_shared<Json>(Json{{"resourceIds", {"r1"}}}), 0};
  const auto response = encode_error(model("ecs"), error, "id-3");
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(Json::parse(response.body), (Json{{"__type", "ConflictException"}, {"message", "taken"}, {"resourceIds", {"r1"}}}));
  EXPECT_EQ(encode_error(model("ecs"), {"ServerException", "oh", nullptr, 0}, "id").status, 500);
}

TEST(AwsJson, ADenialIs400) {
  const auto response =
      encode_error(model("ecs"), fault(Protocol::json, Fault::access_denied, "User: x is not authorized"), "id");
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(Json::parse(response.body)["__type"], "AccessDeniedException");
}

TEST(AwsJson, AMissingMemberIsAnInvalidParameterToEcs) {
  const WireError error = refused("ecs", "RunTask", ecs("RunTask", R"({"count":1})"));
  EXPECT_EQ(error.code, "InvalidParameterException");
  EXPECT_EQ(error.message,
            "1 validation error detected: Value null at 'taskDefinition' failed to satisfy constraint: Member must not be null");
}

TEST(AwsJson, AnEnumHasItsValuesOnly) {
  const WireError error = refused("ecs", "RunTask", ecs("RunTask", R"({"taskDefinition":"a","launchType":"LAPTOP"})"));
  EXPECT_EQ(error.message,
            "1 validation error detected: Value 'LAPTOP' at 'launchType' failed to satisfy constraint: Member must satisfy enum "
            "value set: [EC2, FARGATE, EXTERNAL, MANAGED_INSTANCES]");
}

}  // namespace
}  // namespace berth::protocol

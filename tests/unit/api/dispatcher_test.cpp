#include "broker/api/dispatcher.hpp"

#include "tests/unit/api/fake_service.hpp"

namespace berth::api {
namespace {

using credentials::SignatureErrorCode;

TEST(Dispatcher, AnAllowedCallReachesItsHandlerWithValidatedInput) {
  Fake fake;
  fake.answer = Json{{"tasks", Json::array()}};
  const auto response = fake.ecs("RunTask", R"({"taskDefinition":"web","unknown":1})");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, R"({"tasks":[]})");
  EXPECT_EQ(fake.seen, (Json{{"taskDefinition", "web"}}));
  EXPECT_EQ(*http::find_header(response.headers, "Date"), "Mon, 23 Nov 2026 05:15:02 GMT");
  EXPECT_EQ(http::find_header(response.headers, "x-amzn-requestid")->size(), 36u);
}

TEST(Dispatcher, EveryResourceIsAuthorizedWithItsOwnAction) {
  Fake fake;
  fake.ecs("RunTask", R"({"taskDefinition":"web"})");
  EXPECT_EQ(fake.authorized, (std::vector<std::string>{"ecs:RunTask arn:definition", "iam:PassRole arn:role"}));
}

TEST(Dispatcher, ADeniedDependentActionKeepsTheHandlerFromRunning) {
  Fake fake;
  fake.deny = "iam:PassRole";
  const auto response = fake.ecs("RunTask", R"({"taskDefinition":"web"})");
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(type_of(response), "AccessDeniedException");
  EXPECT_EQ(Json::parse(response.body)["message"],
            "User: arn:aws:iam::123456789012:user/ann is not authorized to perform: iam:PassRole");
  EXPECT_EQ(fake.handled, 0);
}

TEST(Dispatcher, ARowWithNoResourcesIsAuthorizedAllTheSame) {
  Fake fake;
  fake.deny = "ecs:ListClusters";
  EXPECT_EQ(type_of(fake.ecs("ListClusters", "{}")), "AccessDeniedException");
  EXPECT_EQ(fake.authorized, std::vector<std::string>{"ecs:ListClusters *"});
}

TEST(Dispatcher, ADenialIsWrittenAsTheProtocolHasIt) {
  Fake fake;
  fake.deny = "ec2:CreateVpc";
  const auto response = fake.form("ec2", "Action=CreateVpc&CidrBlock=10.0.0.0/16");
  EXPECT_EQ(response.status, 403);
  EXPECT_NE(response.body.find(
                "<Code>UnauthorizedOperation</Code><Message>You are not authorized to perform this operation. User: arn"),
            std::string::npos);
}

TEST(Dispatcher, ADryRunEndsAfterAuthorization) {
  Fake fake;
  const auto response = fake.form("ec2", "Action=CreateVpc&CidrBlock=10.0.0.0/16&DryRun=true");
  EXPECT_EQ(response.status, 412);
  EXPECT_NE(response.body.find("<Code>DryRunOperation</Code>"), std::string::npos);
  EXPECT_EQ(fake.authorized.size(), 1u);
  EXPECT_EQ(fake.handled, 0);
}

TEST(Dispatcher, GetCallerIdentityNeedsASignatureButNoPermission) {
  Fake fake;
  fake.deny = "sts:GetCallerIdentity";
  EXPECT_EQ(fake.form("sts", "Action=GetCallerIdentity&Version=2011-06-15").status, 200);
  const auto unsigned_call = fake.form("sts", "Action=GetCallerIdentity&Version=2011-06-15", /*sign=*/false);
  EXPECT_EQ(unsigned_call.status, 403);
  EXPECT_NE(unsigned_call.body.find("<Code>MissingAuthenticationToken</Code>"), std::string::npos);
}

TEST(Dispatcher, AUsersSessionOpensNeitherIamNorTheRestOfSts) {
  Fake fake;
  fake.key = "ASIA1";
  EXPECT_EQ(fake.form("sts", "Action=GetCallerIdentity&Version=2011-06-15").status, 200);
  EXPECT_EQ(fake.ecs("ListClusters", "{}").status, 200);
  const auto roles = fake.form("iam", "Action=ListRoles&Version=2010-05-08");
  EXPECT_EQ(roles.status, 403);
  EXPECT_NE(roles.body.find("<Code>InvalidClientTokenId</Code>"), std::string::npos) << roles.body;
  const auto key = fake.form("sts", "Action=GetAccessKeyInfo&Version=2011-06-15&AccessKeyId=AKIAIOSFODNN7EXAMPLE");
  EXPECT_EQ(key.status, 403);
  EXPECT_NE(key.body.find("Cannot call GetAccessKeyInfo with session credentials"), std::string::npos) << key.body;
}

TEST(Dispatcher, OperationsForCallersWithoutKeysNeedNoSignatureButAPermission) {
  Fake fake;
  const std::string body =
      "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn:aws:iam::123456789012:role/r&RoleSessionName=s1"
      "&WebIdentityToken=abcde";
  EXPECT_EQ(fake.form("sts", body, /*sign=*/false).status, 200);
  EXPECT_EQ(fake.records.back().caller_arn, "anonymous");
  fake.deny = "sts:AssumeRoleWithWebIdentity";
  EXPECT_EQ(fake.form("sts", body, /*sign=*/false).status, 403);
}

TEST(Dispatcher, ASignatureErrorIsNamedAsTheProtocolHasIt) {
  Fake fake;
  fake.bad_signature = {SignatureErrorCode::invalid_client_token_id, "The security token included in the request is invalid."};
  EXPECT_EQ(type_of(fake.ecs("RunTask", "{}")), "UnrecognizedClientException");
  EXPECT_NE(fake.form("sts", "Action=GetCallerIdentity&Version=2011-06-15").body.find("<Code>InvalidClientTokenId</Code>"),
            std::string::npos);
  fake.bad_signature->code = SignatureErrorCode::signature_does_not_match;
  EXPECT_EQ(type_of(fake.ecs("RunTask", "{}")), "InvalidSignatureException");
  fake.bad_signature->code = SignatureErrorCode::expired_token;
  EXPECT_EQ(fake.form("sts", "Action=GetCallerIdentity&Version=2011-06-15").status, 403);
  EXPECT_EQ(fake.handled, 0);
}

TEST(Dispatcher, NobodyLearnsWhichOperationsThereAreWithoutASignature) {
  Fake fake;
  fake.bad_signature = {SignatureErrorCode::signature_does_not_match, "no"};
  EXPECT_EQ(type_of(fake.ecs("FlyTask", "{}")), "InvalidSignatureException");
  EXPECT_EQ(type_of(fake.ecs("CreateCluster", "{}")), "InvalidSignatureException");
}

TEST(Dispatcher, AnOperationOfTheTableThatIsNotBuiltSaysSo) {
  Fake fake;
  const auto response = fake.ecs("CreateExpressGatewayService", "{}");
  EXPECT_EQ(response.status, 501);
  EXPECT_EQ(type_of(response), "NotImplemented");
  EXPECT_EQ(Json::parse(response.body)["message"], "CreateExpressGatewayService is not built in Berth yet; see docs/API.md");
}

TEST(Dispatcher, AnUnknownOperationIsRefused) {
  Fake fake;
  EXPECT_EQ(type_of(fake.ecs("FlyTask", "{}")), "UnknownOperationException");
}

TEST(Dispatcher, InputThatIsWrongNeverReachesTheAuthorizer) {
  Fake fake;
  EXPECT_EQ(type_of(fake.ecs("RunTask", R"({"taskDefinition":1})")), "SerializationException");
  EXPECT_EQ(type_of(fake.ecs("RunTask", "{}")), "InvalidParameterException");
  EXPECT_TRUE(fake.authorized.empty());
}

TEST(Dispatcher, AServiceThatBerthDoesNotHaveIsNamed) {
  Fake fake;
  http::Request request{.method = "POST", .target = "/", .headers = Fake::signed_for("dynamodb"), .body = "{}"};
  request.headers.emplace_back("X-Amz-Target", "DynamoDB_20120810.ListTables");
  const auto response = fake.dispatcher.handle(request);
  EXPECT_EQ(response.status, 501);
  EXPECT_EQ(Json::parse(response.body)["message"],
            "Berth has no service `dynamodb` yet; it has ec2, ecs, elasticfilesystem, iam, sts");
}

TEST(Dispatcher, ARequestThatNamesNothingAndIsNotSignedLacksItsToken) {
  Fake fake;
  const auto response = fake.dispatcher.handle({.method = "GET", .target = "/"});
  EXPECT_EQ(response.status, 403);
  EXPECT_EQ(*http::find_header(response.headers, "x-amzn-errortype"), "MissingAuthenticationToken");
}

TEST(Dispatcher, AnUnsignedRequestIsRefusedInTheFormOfTheServiceItNames) {
  Fake fake;
  const auto response = fake.dispatcher.handle({.method = "DELETE", .target = "/2015-02-01/file-systems/fs-12345678"});
  EXPECT_EQ(response.status, 403);
  EXPECT_EQ(*http::find_header(response.headers, "x-amzn-errortype"), "MissingAuthenticationTokenException");
  EXPECT_EQ(fake.handled, 0);
}

TEST(Dispatcher, ACallSignedForAnotherRegionIsRefusedButForGlobalServices) {
  Fake fake;
  fake.signed_region = "us-east-1";
  EXPECT_EQ(type_of(fake.ecs("ListClusters", "{}")), "InvalidSignatureException");
  EXPECT_EQ(fake.form("sts", "Action=GetCallerIdentity&Version=2011-06-15").status, 200);
}

TEST(Dispatcher, AnErrorOfTheHandlerHasTheStatusOfItsShape) {
  Fake fake;
  fake.answer = refuse("ServerException", "try later");
  const auto response = fake.ecs("ListClusters", "{}");
  EXPECT_EQ(response.status, 500);
  EXPECT_EQ(Json::parse(response.body), (Json{{"__type", "ServerException"}, {"message", "try later"}}));
}

TEST(Dispatcher, AnErrorOfTheResourcesIsAnsweredAsItIs) {
  Fake fake;
  EXPECT_EQ(type_of(fake.ecs("RunTask", R"({"taskDefinition":"bad"})")), "ClientException");
  EXPECT_EQ(fake.handled, 0);
}

TEST(Dispatcher, AServiceThatThrowsIsAnInternalErrorThatTellsNothing) {
  Fake fake;
  const auto response = fake.ecs("RunTask", R"({"taskDefinition":"throw"})");
  EXPECT_EQ(response.status, 500);
  EXPECT_EQ(type_of(response), "InternalFailure");
  EXPECT_EQ(response.body.find("broken"), std::string::npos);
}

TEST(Dispatcher, EachCallIsRecordedWithItsDecisions) {
  Fake fake;
  fake.deny = "iam:PassRole";
  fake.ecs("RunTask", R"({"taskDefinition":"web"})");
  ASSERT_EQ(fake.records.size(), 1u);
  const CallRecord& record = fake.records[0];
  EXPECT_EQ(record.service, "ecs");
  EXPECT_EQ(record.operation, "RunTask");
  EXPECT_EQ(record.caller_arn, "arn:aws:iam::123456789012:user/ann");
  EXPECT_EQ(record.source_ip, "127.0.0.1");
  EXPECT_EQ(record.listener, "front-door");
  EXPECT_EQ(record.error_code, "AccessDeniedException");
  EXPECT_EQ(record.status, 400);
  ASSERT_EQ(record.accesses.size(), 2u);
  EXPECT_FALSE(record.accesses[0].denial);
  EXPECT_TRUE(record.accesses[1].denial);
}

TEST(Dispatcher, CallsFromInsideAreValidatedAndAuthorizedToo) {
  Fake fake;
  credentials::Principal agent;
  agent.arn = "arn:aws:sts::123456789012:assumed-role/agent/i-1";
  fake.answer = Json{{"tasks", Json::array()}};
  EXPECT_EQ(*fake.dispatcher.call(agent, "ecs", "RunTask", {{"taskDefinition", "web"}}), fake.answer);
  EXPECT_EQ(fake.dispatcher.call(agent, "ecs", "RunTask", Json::object()).error().code, "InvalidParameterException");
  EXPECT_EQ(fake.dispatcher.call(agent, "ecs", "RunTask", {{"taskDefinition", 7}}).error().code, "SerializationException");
  EXPECT_EQ(fake.dispatcher.call(agent, "ecs", "CreateCluster", Json::object()).error().code, "NotImplemented");
  fake.deny = "ecs:RunTask";
  EXPECT_EQ(fake.dispatcher.call(agent, "ecs", "RunTask", {{"taskDefinition", "web"}}).error().code, "AccessDeniedException");
  EXPECT_EQ(fake.handled, 1);
  EXPECT_EQ(fake.records.back().caller_arn, agent.arn);
  EXPECT_EQ(fake.records.back().listener, "internal");
}

TEST(Registry, FindsServicesByWhatARequestSays) {
  Fake fake;
  EXPECT_EQ(fake.registry.by_signing_name("elasticfilesystem")->service.model, "efs");
  EXPECT_EQ(fake.registry.by_signing_name("efs"), nullptr);
  EXPECT_EQ(fake.registry.by_model("efs")->row("DeleteFileSystem")->action, "elasticfilesystem:DeleteFileSystem");
  EXPECT_EQ(fake.registry.by_content({.method = "POST", .target = "/", .body = "Action=GetCallerIdentity&Version=2011-06-15"})
                ->service.model,
            "sts");
  EXPECT_EQ(fake.registry.by_content({.method = "GET", .target = "/"}), nullptr);
}

TEST(RegistryDeathTest, ARowThatItsTableDoesNotHaveEndsTheStart) {
  Operation row{"FlyTask", "ecs:FlyTask", any_resource(),
                [](const CallContext&, const Json&) -> Outcome<Json> { return Json(); }};
  EXPECT_DEATH(Registry({{.model = "ecs", .signing_names = {"ecs"}, .operations = {row}}}), "");
}

}  // namespace
}  // namespace berth::api

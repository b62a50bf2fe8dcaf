// Which resources and condition keys each operation asks the authorizer about, and tags, which decide on some of them.
#include <gmock/gmock.h>

#include "tests/unit/services_ecs/ecs_world.hpp"

namespace berth::services::ecs {
namespace {

using ::testing::Contains;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::StartsWith;

class Access : public EcsWorld {
 protected:
  static std::string action(const api::ResourceAccess& access) { return access.action.value_or(""); }
};

TEST_F(Access, EveryRowNamesTheActionOfItsOperation) {
  for (const auto& operation : service.operations) EXPECT_EQ(operation.action, "ecs:" + operation.name);
  EXPECT_THAT(service.operations, SizeIs(26));
}

TEST_F(Access, RunningATaskNeedsTheDefinitionAndPassesItsRoles) {
  auto input = fargate_definition();
  input.update({{"taskRoleArn", "writer"}, {"executionRoleArn", "execution"}});
  input["tags"] = Json::parse(R"([{"key": "team", "value": "x"}])");
  define(input);
  auto run = on_fargate();
  run["overrides"] = {{"taskRoleArn", "reader"}};
  const auto list = resources("RunTask", run);
  ASSERT_THAT(list, SizeIs(3));
  EXPECT_EQ(list[0].arn, std::string(kArn) + "task-definition/web:1");
  EXPECT_THAT(list[0].conditions, Contains(Pair("ecs:cluster", std::string(kArn) + "cluster/demo")));
  EXPECT_THAT(list[0].conditions, Contains(Pair("aws:ResourceTag/team", "x")));
  EXPECT_EQ(action(list[1]), "iam:PassRole");
  EXPECT_EQ(list[1].arn, "arn:aws:iam::123456789012:role/reader");
  EXPECT_THAT(list[1].conditions, Contains(Pair("iam:PassedToService", "ecs-tasks.amazonaws.com")));
  EXPECT_EQ(list[2].arn, "arn:aws:iam::123456789012:role/execution");
}

TEST_F(Access, RegisteringPassesRolesAndTaggingIsAnActionOfItsOwn) {
  auto input = definition();
  input["taskRoleArn"] = "arn:aws:iam::123456789012:role/writer";
  input["tags"] = Json::parse(R"([{"key": "team", "value": "x"}])");
  const auto list = resources("RegisterTaskDefinition", input);
  ASSERT_THAT(list, SizeIs(3));
  EXPECT_EQ(list[0].arn, std::string(kArn) + "task-definition/web:*");
  EXPECT_THAT(list[0].conditions, Contains(Pair("aws:RequestTag/team", "x")));
  EXPECT_THAT(list[0].conditions, Contains(Pair("aws:TagKeys", "team")));
  EXPECT_EQ(action(list[1]), "iam:PassRole");
  EXPECT_EQ(action(list[2]), "ecs:TagResource");
  EXPECT_THAT(list[2].conditions, Contains(Pair("ecs:CreateAction", "RegisterTaskDefinition")));
}

TEST_F(Access, TasksAndInstancesAreAskedAboutOneByOneWithTheirCluster) {
  const std::string a(32, 'a'), b(32, 'b');
  const auto tasks = resources("DescribeTasks", {{"cluster", "demo"}, {"tasks", {a, std::string(kArn) + "task/demo/" + b}}});
  ASSERT_THAT(tasks, SizeIs(2));
  EXPECT_EQ(tasks[0].arn, std::string(kArn) + "task/demo/" + a);
  EXPECT_EQ(tasks[1].arn, std::string(kArn) + "task/demo/" + b);
  EXPECT_THAT(tasks[1].conditions, Contains(Pair("ecs:cluster", std::string(kArn) + "cluster/demo")));
  EXPECT_EQ(resources("ListTasks", {{"cluster", "demo"}})[0].arn, std::string(kArn) + "container-instance/demo/*");
  EXPECT_EQ(resources("RegisterContainerInstance", {{"cluster", "demo"}})[0].arn, std::string(kArn) + "cluster/demo");
  EXPECT_EQ(resources("ListClusters", Json::object())[0].arn, "*");
}

TEST_F(Access, AMalformedNameIsRefusedBeforeAnythingIsAuthorized) {
  const auto list = row("StopTask").resources(context(), {{"cluster", "demo"}, {"task", "short"}});
  ASSERT_FALSE(list);
  EXPECT_EQ(list.error().code, "InvalidParameterException");
}

TEST_F(Access, TagsOfEveryKindOfResourceCanBePutListedAndTaken) {
  define(fargate_definition());
  const auto task = must("RunTask", on_fargate())["tasks"][0]["taskArn"].get<std::string>();
  for (const auto& arn :
       {std::string(kArn) + "cluster/demo", std::string(kArn) + "task-definition/web:1", task, register_instance()}) {
    must("TagResource",
         {{"resourceArn", arn}, {"tags", Json::parse(R"([{"key": "a", "value": "1"}, {"key": "b", "value": "2"}])")}});
    must("UntagResource", {{"resourceArn", arn}, {"tagKeys", {"b"}}});
    EXPECT_EQ(must("ListTagsForResource", {{"resourceArn", arn}})["tags"], Json::parse(R"([{"key": "a", "value": "1"}])")) << arn;
    EXPECT_THAT(resources("UntagResource", {{"resourceArn", arn}, {"tagKeys", {"a"}}})[0].conditions,
                Contains(Pair("ecs:ResourceTag/a", "1")))
        << arn;
  }
}

TEST_F(Access, TagsOfWhatIsNotThereOrNotOursAreRefused) {
  const auto list = [&](const std::string& arn) { return refusal("ListTagsForResource", {{"resourceArn", arn}}); };
  EXPECT_THAT(list(std::string(kArn) + "cluster/none"), StartsWith("ClusterNotFoundException"));
  EXPECT_THAT(list(std::string(kArn) + "task/demo/" + std::string(32, 'a')),
              StartsWith("InvalidParameterException: The specified task was not found."));
  EXPECT_THAT(list(std::string(kArn) + "task-definition/none:1"),
              StartsWith("InvalidParameterException: The specified task definition was not found."));
  EXPECT_THAT(
      refusal("TagResource", {{"resourceArn", std::string(kArn) + "task/demo/" + std::string(32, 'a')}, {"tags", Json::array()}}),
      StartsWith("ResourceNotFoundException"));
  EXPECT_THAT(list("arn:aws:ecs:us-east-1:999999999999:cluster/demo"),
              StartsWith("InvalidParameterException: Identifier is for 999999999999."));
  EXPECT_THAT(list("arn:aws:s3:::bucket"), StartsWith("InvalidParameterException: Invalid resourceArn"));
}

}  // namespace
}  // namespace berth::services::ecs

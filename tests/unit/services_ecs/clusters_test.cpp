#include <gmock/gmock.h>

#include "tests/unit/services_ecs/ecs_world.hpp"

namespace berth::services::ecs {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class Clusters : public EcsWorld {};

TEST_F(Clusters, ANewOneIsAnsweredWhole) {
  const auto made =
      must("CreateCluster",
           {{"clusterName", "blue"}, {"capacityProviders", {"FARGATE"}}, {"tags", {{{"key", "team"}, {"value", "x"}}}}});
  EXPECT_EQ(made["cluster"], Json::parse(R"({
      "clusterArn": "arn:aws:ecs:us-east-1:123456789012:cluster/blue", "clusterName": "blue", "status": "ACTIVE",
      "registeredContainerInstancesCount": 0, "runningTasksCount": 0, "pendingTasksCount": 0, "activeServicesCount": 0,
      "statistics": [], "settings": [{"name": "containerInsights", "value": "disabled"}],
      "capacityProviders": ["FARGATE"], "defaultCapacityProviderStrategy": [], "tags": [{"key": "team", "value": "x"}]})"));
}

TEST_F(Clusters, OneWithoutANameIsTheDefaultOneAndItsCreationMayBeRepeated) {
  EXPECT_EQ(must("CreateCluster", Json::object())["cluster"]["clusterName"], "default");
  EXPECT_EQ(must("CreateCluster", Json::object())["cluster"]["clusterName"], "default");
  EXPECT_EQ(must("DescribeClusters", Json::object())["clusters"][0]["clusterName"], "default");
}

TEST_F(Clusters, DescribingNamesWhatIsMissingAndShowsTagsOnlyWhenAsked) {
  const auto answer = must("DescribeClusters", {{"clusters", {"demo", "gone", std::string(kArn) + "cluster/demo"}}});
  EXPECT_EQ(answer["clusters"].size(), 2U);
  EXPECT_EQ(answer["failures"],
            Json::parse(R"([{"arn": "arn:aws:ecs:us-east-1:123456789012:cluster/gone", "reason": "MISSING"}])"));
  must("CreateCluster", {{"clusterName", "blue"}, {"tags", {{{"key", "a"}, {"value", "b"}}}}});
  EXPECT_EQ(must("DescribeClusters", {{"clusters", {"blue"}}})["clusters"][0]["tags"], Json::array());
  EXPECT_EQ(must("DescribeClusters", {{"clusters", {"blue"}}, {"include", {"TAGS"}}})["clusters"][0]["tags"].size(), 1U);
}

TEST_F(Clusters, OnesOfAnotherAccountOrRegionAreRefused) {
  EXPECT_EQ(refusal("DescribeClusters", {{"clusters", {"arn:aws:ecs:us-east-1:999999999999:cluster/demo"}}}),
            "InvalidParameterException: Identifier is for 999999999999. Your accountId is 123456789012");
  EXPECT_EQ(refusal("DeleteCluster", {{"cluster", "arn:aws:ecs:eu-west-1:123456789012:cluster/demo"}}),
            "InvalidParameterException: Identifier is for eu-west-1. Your region is us-east-1");
  EXPECT_THAT(refusal("CreateCluster", {{"clusterName", "a b"}}), StartsWith("InvalidParameterException: Cluster must match"));
}

TEST_F(Clusters, PagesFollowEachOtherWithoutGapsOrDoubles) {
  for (const auto* name : {"a", "b", "c"}) must("CreateCluster", {{"clusterName", name}});
  std::vector<std::string> seen;
  Json input{{"maxResults", 2}};
  for (int pages = 0; pages < 3; ++pages) {
    const auto page = must("ListClusters", input);
    for (const auto& arn : page["clusterArns"]) seen.push_back(arn);
    if (!page.contains("nextToken")) break;
    input["nextToken"] = page["nextToken"];
  }
  EXPECT_EQ(seen, (std::vector<std::string>{std::string(kArn) + "cluster/a", std::string(kArn) + "cluster/b",
                                            std::string(kArn) + "cluster/c", std::string(kArn) + "cluster/demo"}));
  EXPECT_THAT(refusal("ListClusters", {{"nextToken", "?"}}), StartsWith("InvalidParameterException: Invalid token"));
  EXPECT_THAT(refusal("ListClusters", {{"maxResults", 0}}), StartsWith("InvalidParameterException: maxResults"));
}

TEST_F(Clusters, ADeletedOneIsInactiveAndCanBeMadeAgain) {
  EXPECT_EQ(must("DeleteCluster", {{"cluster", "demo"}})["cluster"]["status"], "INACTIVE");
  EXPECT_EQ(refusal("ListTasks", {{"cluster", "demo"}}), "ClusterNotFoundException: The referenced cluster was inactive.");
  EXPECT_EQ(refusal("ListTasks", {{"cluster", "never"}}), "ClusterNotFoundException: Cluster not found.");
  EXPECT_EQ(must("ListClusters", Json::object())["clusterArns"], Json::array());
  EXPECT_EQ(must("DescribeClusters", {{"clusters", {"demo"}}})["clusters"][0]["status"], "INACTIVE");
  EXPECT_EQ(must("CreateCluster", {{"clusterName", "demo"}})["cluster"]["status"], "ACTIVE");
}

TEST_F(Clusters, OneWithTasksOrInstancesIsNotDeleted) {
  define(fargate_definition());
  const auto task = must("RunTask", on_fargate())["tasks"][0]["taskArn"];
  EXPECT_THAT(refusal("DeleteCluster", {{"cluster", "demo"}}), StartsWith("ClusterContainsTasksException: "));
  register_instance();
  EXPECT_THAT(refusal("DeleteCluster", {{"cluster", "demo"}}), StartsWith("ClusterContainsContainerInstancesException: "));
}

TEST_F(Clusters, CapacityProvidersAndTheirStrategyMustFit) {
  EXPECT_THAT(refusal("CreateCluster", {{"clusterName", "x"}, {"capacityProviders", {"my-group"}}}),
              HasSubstr("'my-group' was not found"));
  const auto strategy = Json::parse(R"([{"capacityProvider": "FARGATE_SPOT", "weight": 1}])");
  EXPECT_THAT(refusal("CreateCluster",
                      {{"clusterName", "x"}, {"capacityProviders", {"FARGATE"}}, {"defaultCapacityProviderStrategy", strategy}}),
              HasSubstr("not associated with the cluster"));
  const auto put = must(
      "PutClusterCapacityProviders",
      {{"cluster", "demo"}, {"capacityProviders", {"FARGATE", "FARGATE_SPOT"}}, {"defaultCapacityProviderStrategy", strategy}});
  EXPECT_EQ(put["cluster"]["defaultCapacityProviderStrategy"], strategy);
  must("UpdateClusterSettings", {{"cluster", "demo"}, {"settings", {{{"name", "containerInsights"}, {"value", "enabled"}}}}});
  const auto described =
      must("DescribeClusters", {{"clusters", {"demo"}}, {"include", {"SETTINGS", "STATISTICS"}}})["clusters"][0];
  EXPECT_EQ(described["settings"][0]["value"], "enabled");
  EXPECT_EQ(described["defaultCapacityProviderStrategy"], strategy);
  EXPECT_EQ(described["statistics"].size(), 8U);
}

}  // namespace
}  // namespace berth::services::ecs

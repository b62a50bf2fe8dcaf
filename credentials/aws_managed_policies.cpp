#include "credentials/aws_managed_policies.hpp"

#include <fmt/format.h>

#include "broker/base/check.hpp"

namespace berth::credentials {

namespace {

struct Source {
  std::string_view name;
  std::string_view path;
  std::string_view created;
  std::string_view document;
};

// Actions and resources as in the AWS Managed Policy Reference.
// https://docs.aws.amazon.com/aws-managed-policy/latest/reference/policy-list.html
constexpr Source kSources[] = {
    {"AdministratorAccess", "/", "2015-02-06T18:39:46Z",
     R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]})"},
    {"AmazonECSTaskExecutionRolePolicy", "/service-role/", "2017-11-16T18:48:22Z",
     R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ecr:GetAuthorizationToken","ecr:BatchCheckLayerAvailability",
"ecr:GetDownloadUrlForLayer","ecr:BatchGetImage","logs:CreateLogStream","logs:PutLogEvents"],"Resource":"*"}]})"},
    {"AmazonEC2ContainerServiceforEC2Role", "/service-role/", "2015-03-19T18:45:18Z",
     R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ec2:DescribeTags","ecs:CreateCluster","ecs:DeregisterContainerInstance",
"ecs:DiscoverPollEndpoint","ecs:Poll","ecs:RegisterContainerInstance","ecs:StartTelemetrySession","ecs:UpdateContainerInstancesState",
"ecs:Submit*","ecr:GetAuthorizationToken","ecr:BatchCheckLayerAvailability","ecr:GetDownloadUrlForLayer","ecr:BatchGetImage",
"logs:CreateLogStream","logs:PutLogEvents"],"Resource":"*"},{"Effect":"Allow","Action":"ecs:TagResource","Resource":"*",
"Condition":{"StringEquals":{"ecs:CreateAction":["CreateCluster","RegisterContainerInstance"]}}}]})"},
    {"AmazonElasticFileSystemClientReadOnlyAccess", "/", "2020-01-13T16:24:12Z",
     R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["elasticfilesystem:ClientMount",
"elasticfilesystem:DescribeMountTargets"],"Resource":"*"}]})"},
    {"AmazonElasticFileSystemClientReadWriteAccess", "/", "2020-01-13T16:21:27Z",
     R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["elasticfilesystem:ClientMount",
"elasticfilesystem:ClientWrite","elasticfilesystem:DescribeMountTargets"],"Resource":"*"}]})"},
    {"AmazonElasticFileSystemClientFullAccess", "/", "2020-01-13T16:27:11Z",
     R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["elasticfilesystem:ClientMount","elasticfilesystem:ClientRootAccess",
"elasticfilesystem:ClientWrite","elasticfilesystem:DescribeMountTargets"],"Resource":"*"}]})"},
};

// An id that is always the same for the name: 17 characters from its FNV hash.
std::string stable_id(std::string_view name) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  SeededRandom random(hash);
  return make_unique_id("ANPA", random);
}

std::shared_ptr<const ManagedPolicy> make(const Source& source) {
  auto document = Policy::parse(source.document, PolicyKind::identity);
  const auto created = parse_time(source.created);
  BERTH_CHECK(document && created);
  ManagedPolicy policy;
  policy.name = source.name;
  policy.path = source.path;
  policy.id = stable_id(source.name);
  policy.arn = fmt::format("arn:aws:iam::aws:policy{}{}", source.path, source.name);
  policy.created = policy.updated = *created;
  policy.versions.emplace(1, PolicyVersion{*std::move(document), *created});
  policy.aws_managed = true;
  return std::make_shared<const ManagedPolicy>(std::move(policy));
}

}  // namespace

const std::vector<std::shared_ptr<const ManagedPolicy>>& aws_managed_policies() {
  static const auto policies = [] {
    std::vector<std::shared_ptr<const ManagedPolicy>> made;
    for (const auto& source : kSources) made.push_back(make(source));
    return made;
  }();
  return policies;
}

}  // namespace berth::credentials

#include "broker/protocol/model.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace berth::protocol {
namespace {

TEST(Model, EveryTableOfTheBinaryCanBeRead) {
  for (const char* name : {"ecs", "efs", "iam", "sts", "ec2", "autoscaling"}) {
    const Model* model = Model::find(name);
    ASSERT_NE(model, nullptr) << name;
    EXPECT_FALSE(model->operations().empty()) << name;
  }
  EXPECT_EQ(Model::find("ecs")->operations().size(), 77u);
  EXPECT_EQ(Model::find("efs")->operations().size(), 31u);
}

TEST(Model, AnUnknownServiceHasNone) { EXPECT_EQ(Model::find("braket"), nullptr); }

TEST(Model, KnowsWhereMembersTravel) {
  const Shape* input = Model::find("efs")->operation("DescribeFileSystems")->input;
  EXPECT_EQ(input->find("MaxItems")->place, Place::query);
  EXPECT_EQ(input->find("MaxItems")->shape->type, Type::integer);
  EXPECT_EQ(Model::find("efs")->operation("DeleteFileSystem")->status, 204);
  EXPECT_EQ(Model::find("efs")->operation("DeleteFileSystem")->input->find("FileSystemId")->place, Place::path);
}

TEST(Model, FindsErrorsByShapeAndByWireCode) {
  const Model& iam = *Model::find("iam");
  EXPECT_EQ(iam.error("NoSuchEntity"), iam.error("NoSuchEntityException"));
  EXPECT_EQ(iam.error("NoSuchEntity")->status, 404);
  EXPECT_EQ(iam.error("NoSuchThing"), nullptr);
  EXPECT_TRUE(Model::find("ecs")->error("ServerException")->server_fault);
}

TEST(Model, KnowsWhichOperationsNeedNoSignature) {
  EXPECT_TRUE(Model::find("sts")->operation("AssumeRoleWithWebIdentity")->unsigned_allowed);
  EXPECT_FALSE(Model::find("sts")->operation("AssumeRole")->unsigned_allowed);
}

TEST(Model, ManyThreadsMayAskAtOnce) {
  std::vector<std::jthread> threads;
  std::vector<const Model*> found(8);
  for (std::size_t i = 0; i < found.size(); ++i) threads.emplace_back([&found, i] { found[i] = Model::find("autoscaling"); });
  threads.clear();
  for (const Model* model : found) EXPECT_EQ(model, found[0]);
}

}  // namespace
}  // namespace berth::protocol

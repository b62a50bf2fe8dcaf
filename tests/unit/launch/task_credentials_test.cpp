#include "broker/launch/task_credentials.hpp"

#include <gtest/gtest.h>

#include "broker/control/task_endpoint.hpp"
#include "broker/launch/launcher.hpp"
#include "tests/support/task_world.hpp"

namespace berth::launch {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using Refusal = TaskCredentials::Refusal;

class TaskCredentialsTest : public ::testing::Test {
 protected:
  TaskCredentialsTest() {
    world.make_role("writer", {"elasticfilesystem:*"});
    world.make_role("reader", {"elasticfilesystem:*"});
    world.define(testing::TaskWorld::a_definition());
    task = launched("writer");
    other = launched("reader");
  }
  cluster_sim::TaskId launched(const std::string& role) {
    const auto id = world.run(role);
    Launcher launcher(world.plane(), {.file_systems = "/state"});
    if (const auto prepared = launcher.prepare(id); !prepared) throw std::runtime_error(prepared.error().message);
    return id;
  }
  std::string id_of(const cluster_sim::TaskId& of) {
    return world.plane().read(
        [&](const control::Control& c) { return control::find_task_endpoint(c.documents, of.str())->credentials_id; });
  }
  auto serve(const cluster_sim::TaskId& asking, const std::string& id) { return registry.serve(asking, id, world.clock().now()); }

  testing::TaskWorld world;
  credentials::SessionTokens tokens{credentials::SessionTokens::make_key(world.random())};
  TaskCredentials registry{world.plane(), tokens, world.random()};
  cluster_sim::TaskId task, other;
};

TEST_F(TaskCredentialsTest, AreASessionOfTheTaskRoleNamedAfterTheTask) {
  const auto served = serve(task, id_of(task));
  ASSERT_TRUE(served);
  EXPECT_EQ(served->role_arn, "arn:aws:iam::123456789012:role/writer");
  EXPECT_EQ(served->credentials.expiration, world.clock().now() + hours(6));
  const auto session = tokens.open(served->credentials.token, world.clock().now());
  ASSERT_TRUE(session);
  EXPECT_EQ(session->principal.arn, "arn:aws:sts::123456789012:assumed-role/writer/" + task.str());
  EXPECT_EQ(session->principal.access_key_id, served->credentials.access_key_id);
}

TEST_F(TaskCredentialsTest, AnotherTasksIdIsUnknownHere) {
  const auto refused = serve(other, id_of(task));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), Refusal::unknown_id);
  EXPECT_EQ(serve(task, "").error(), Refusal::unknown_id);
  EXPECT_EQ(serve(cluster_sim::TaskId("0123"), id_of(task)).error(), Refusal::unknown_id);
}

TEST_F(TaskCredentialsTest, AreTheSameUntilTheyRunLowAndNewWellBeforeTheyExpire) {
  const auto first = serve(task, id_of(task))->credentials;
  world.clock().advance(hours(4) + minutes(59));
  EXPECT_EQ(serve(task, id_of(task))->credentials.access_key_id, first.access_key_id);
  world.clock().advance(minutes(1));
  const auto second = serve(task, id_of(task))->credentials;
  EXPECT_NE(second.access_key_id, first.access_key_id);
  EXPECT_EQ(second.expiration, world.clock().now() + hours(6));
  EXPECT_TRUE(tokens.open(first.token, world.clock().now())) << "the old ones last their full time";
}

TEST_F(TaskCredentialsTest, AreGoneWithTheTask) {
  const auto id = id_of(task);
  ASSERT_TRUE(serve(task, id));
  world.report(task, cluster_sim::TaskFailedToStart{"reason", ""});
  EXPECT_EQ(serve(task, id).error(), Refusal::unknown_id);
}

TEST_F(TaskCredentialsTest, ARoleThatIsGoneOrNoLongerTrustsEcsGivesNoNewOnes) {
  world.decide([&](control::Control& c) {
    const auto edited = c.edit_identities().update_role("writer", [](credentials::Role& role) -> Result<> {
      role.trust_policy = testing::TaskWorld::a_role("writer", {}, "ec2.amazonaws.com").trust_policy;
      return {};
    });
    ASSERT_TRUE(edited);
  });
  const auto refused = serve(task, id_of(task));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), Refusal::not_available);
}

TEST_F(TaskCredentialsTest, ADaemonThatStartsAgainServesUnderTheSamePath) {
  const auto id = id_of(task);
  const auto before = serve(task, id)->credentials;
  world.restart();
  TaskCredentials next(world.plane(), tokens, world.random());
  const auto after = next.serve(task, id, world.clock().now());
  ASSERT_TRUE(after);
  EXPECT_NE(after->credentials.access_key_id, before.access_key_id);
  EXPECT_TRUE(tokens.open(before.token, world.clock().now())) << "what the dead daemon gave out still holds";
}

}  // namespace
}  // namespace berth::launch

#include "broker/control/control_plane.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <stdexcept>
#include <thread>

#include "tests/unit/control/memory_store.hpp"

namespace berth::control {
namespace {

using credentials::Identities;

constexpr TimePoint kStart{std::chrono::seconds{1'800'000'000}};

struct ApiLikeError {
  std::string code, message;
};
template <class T>
using Outcome = std::expected<T, ApiLikeError>;

class ControlPlaneTest : public testing::Test {
 protected:
  // What the next start finds is what `disk` has.
  std::unique_ptr<ControlPlane> start(const ControlPlane::Options& options = {}) {
    store_ = std::make_unique<MemoryStore>(disk_);
    auto plane = ControlPlane::open(options, *store_, clock_, random_);
    if (!plane) {
      ADD_FAILURE() << plane.error().message;
      return nullptr;
    }
    return std::move(*plane);
  }
  std::string refusal(const ControlPlane::Options& options) {
    MemoryStore store{disk_};
    const auto plane = ControlPlane::open(options, store, clock_, random_);
    return plane ? "" : plane.error().message;
  }

  MemoryStore::Disk disk_;
  ManualClock clock_{kStart};
  SeededRandom random_{1};
  std::unique_ptr<MemoryStore> store_;
};

cluster_sim::InstanceId run_instance(Control& c) {
  const auto vpc = c.cluster.create_vpc(c.random, *cluster_sim::parse_cidr("10.0.0.0/16"), {}).value();
  const auto subnet = c.cluster.create_subnet(c.random, vpc, "us-east-1a", *cluster_sim::parse_cidr("10.0.1.0/24"), {}).value();
  cluster_sim::LaunchTemplateData data;
  data.image_id = "ami-ecs";
  data.instance_type = "m5.large";
  return c.cluster.run_instances(c.now, c.random, data, subnet, 1, {}).value().at(0);
}

TEST_F(ControlPlaneTest, TheFirstStartMakesAnAccountWithItsAdministratorAndLaterOnesFindThem) {
  std::string account, key;
  {
    const auto plane = start();
    account = plane->account();
    key = plane->identities()->administrator().key->id;
  }
  EXPECT_THAT(account, testing::MatchesRegex("[1-9][0-9]{11}"));
  const auto plane = start();
  EXPECT_EQ(plane->account(), account);
  ASSERT_TRUE(plane->identities()->administrator());
  EXPECT_EQ(plane->identities()->administrator().key->id, key);
}

TEST_F(ControlPlaneTest, AStateDirectoryOfAnotherCloudIsRefused) {
  start({.account = "123456789012"}).reset();
  EXPECT_THAT(refusal({.account = "999999999999"}), testing::HasSubstr("of account 123456789012, not 999999999999"));
  EXPECT_THAT(refusal({.region = "eu-west-1", .zones = {"eu-west-1a"}}), testing::HasSubstr("of region `us-east-1`"));
  EXPECT_EQ(refusal({.account = "123456789012"}), "");
}

TEST_F(ControlPlaneTest, AStoredRecordOfAnUnknownKindIsRefusedByName) {
  start().reset();
  disk_[{"spaceship", "a"}] = "{}";
  EXPECT_THAT(refusal({}), testing::HasSubstr("stored record spaceship `a`"));
}

TEST_F(ControlPlaneTest, WhatEachPartHoldsIsThereAfterARestart) {
  cluster_sim::InstanceId instance;
  {
    const auto plane = start();
    ASSERT_TRUE(plane->with([&](Control& c) {
      c.documents.put("task-definition", "web:1", "{}");
      c.documents.put("task-definition", "web:2", "{}");
      fuse::FileSystemRecord record;
      record.id = fuse::FileSystemId{"fs-1"};
      c.catalog.put(record);
      instance = run_instance(c);
    }));
    ASSERT_TRUE(plane->with([](Control& c) { c.documents.erase("task-definition", "web:1"); }));
  }
  const auto plane = start();
  plane->read([&](const Control& c) {
    EXPECT_EQ(c.documents.find("task-definition", "web:1"), nullptr);
    EXPECT_NE(c.documents.find("task-definition", "web:2"), nullptr);
    EXPECT_NE(c.catalog.find(fuse::FileSystemId{"fs-1"}), nullptr);
    EXPECT_TRUE(c.cluster.instances().contains(instance));
  });
}

TEST_F(ControlPlaneTest, ChangedIdentitiesArePublishedAndStored) {
  const auto add_profile = [](Identities& identities, const std::string& name) {
    credentials::InstanceProfile profile;
    profile.name = name;
    return identities.create(std::move(profile));
  };
  {
    const auto plane = start();
    const auto before = plane->identities();
    EXPECT_TRUE(plane->with([&](Control& c) { return add_profile(c.edit_identities(), "edited"); }));
    EXPECT_TRUE(plane->with([&](Control& c) -> Result<> {
      auto copy = std::make_shared<Identities>(*c.identities);
      auto added = add_profile(*copy, "swapped");
      c.identities = std::move(copy);
      return added;
    }));
    EXPECT_EQ(before->find_instance_profile("edited"), nullptr) << "a snapshot does not change";
    EXPECT_NE(plane->identities()->find_instance_profile("edited"), nullptr);
    EXPECT_NE(plane->identities()->find_instance_profile("swapped"), nullptr);
  }
  const auto plane = start();
  EXPECT_NE(plane->identities()->find_instance_profile("edited"), nullptr);
  EXPECT_NE(plane->identities()->find_instance_profile("swapped"), nullptr);
}

TEST_F(ControlPlaneTest, WithAnswersAsTheFunctionDoes) {
  const auto plane = start();
  const Result<> nothing = plane->with([](Control&) {});
  EXPECT_TRUE(nothing);
  const Result<int> number = plane->with([](Control&) { return 7; });
  EXPECT_EQ(number, 7);
  const Outcome<int> refused = plane->with([](Control&) -> Outcome<int> { return std::unexpected{ApiLikeError{"No", "no"}}; });
  EXPECT_EQ(refused.error().code, "No");
  EXPECT_EQ(plane->apply([](Control&) { return 8; }), 8);
  EXPECT_EQ(plane->read([](const Control&) { return 9; }), 9);
}

TEST_F(ControlPlaneTest, ADecisionKnowsItsTime) {
  const auto plane = start();
  clock_.advance(std::chrono::seconds{5});
  EXPECT_EQ(plane->with([](Control& c) { return c.now; }), kStart + std::chrono::seconds{5});
}

TEST_F(ControlPlaneTest, WithReturnsOnlyWhenTheChangeIsOnDisk) {
  const auto plane = start();
  store_->hold();
  auto call = std::async(std::launch::async, [&] { return plane->with([](Control& c) { c.documents.put("k", "a", "1"); }); });
  store_->wait_for_waiter();
  EXPECT_EQ(call.wait_for(std::chrono::seconds{0}), std::future_status::timeout);
  EXPECT_FALSE(disk_.contains({"document/k", "a"}));
  store_->release();
  EXPECT_TRUE(call.get());
  EXPECT_TRUE(disk_.contains({"document/k", "a"}));
}

// The answer of a call that changes nothing may tell of a change that is still on its way to disk.
TEST_F(ControlPlaneTest, ACallThatChangesNothingWaitsForWhatItMayHaveSeen) {
  const auto plane = start();
  store_->hold();
  plane->apply([](Control& c) { c.documents.put("k", "a", "1"); });
  auto call = std::async(std::launch::async,
                         [&] { return plane->with([](Control& c) { return c.documents.find("k", "a") != nullptr; }); });
  store_->wait_for_waiter();
  EXPECT_EQ(call.wait_for(std::chrono::seconds{0}), std::future_status::timeout);
  store_->release();
  EXPECT_EQ(call.get(), true);
}

TEST_F(ControlPlaneTest, EffectsComeAfterTheDiskAndInOrder) {
  const auto plane = start();
  std::vector<cluster_sim::InstanceId> wanted, booted;
  std::atomic<bool> early = false;
  plane->deliver_effects_to([&](const cluster_sim::Effect& effect) {
    const auto& instance = std::get<cluster_sim::BootInstance>(effect).instance;
    early = early || !disk_.contains({"instance", instance.str()});
    booted.push_back(instance);
  });
  store_->hold();
  for (int i = 0; i < 20; ++i) wanted.push_back(plane->apply([](Control& c) { return run_instance(c); }));
  store_->release();
  plane->wait_for_effects();
  EXPECT_EQ(booted, wanted);
  EXPECT_FALSE(early);
}

TEST_F(ControlPlaneTest, EffectsOfManyThreadsComeInTheOrderOfTheDecisions) {
  const auto plane = start();
  std::vector<cluster_sim::InstanceId> decided, booted;
  plane->deliver_effects_to(
      [&](const cluster_sim::Effect& effect) { booted.push_back(std::get<cluster_sim::BootInstance>(effect).instance); });
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&] {
      for (int i = 0; i < 25; ++i) {
        EXPECT_TRUE(plane->with([&](Control& c) { decided.push_back(run_instance(c)); }));
      }
    });
  }
  threads.clear();
  plane->wait_for_effects();
  EXPECT_EQ(booted.size(), 200U);
  EXPECT_EQ(booted, decided);
}

TEST_F(ControlPlaneTest, ASinkMayDecide) {
  const auto plane = start();
  plane->deliver_effects_to([&](const cluster_sim::Effect& effect) {
    const auto instance = std::get<cluster_sim::BootInstance>(effect).instance;
    EXPECT_TRUE(plane->with([&](Control& c) { c.documents.put("booted", instance.str(), "1"); }));
  });
  const auto instance = plane->with([](Control& c) { return run_instance(c); });
  ASSERT_TRUE(instance);
  plane->wait_for_effects();
  EXPECT_TRUE(disk_.contains({"document/booted", instance->str()}));
}

TEST_F(ControlPlaneTest, AStoreThatCantBeWrittenRefusesBeforeAnythingChanges) {
  const auto plane = start();
  store_->fail_from_now_on();
  const auto first = plane->with([](Control& c) { c.documents.put("k", "a", "1"); });
  ASSERT_FALSE(first);
  EXPECT_EQ(first.error().code, Code::unavailable);
  bool ran = false;
  const auto second = plane->with([&](Control&) -> Outcome<int> {
    ran = true;
    return 1;
  });
  EXPECT_EQ(second.error().code, "ServiceUnavailable");
  EXPECT_FALSE(ran);
  EXPECT_EQ(plane->apply([](Control&) { return 1; }), 1) << "what happened outside is taken note of all the same";
  store_->recover();
  EXPECT_TRUE(plane->with([](Control&) {}));
  EXPECT_TRUE(disk_.contains({"document/k", "a"}));
}

TEST_F(ControlPlaneTest, EffectsWaitForAStoreThatFailed) {
  const auto plane = start();
  std::promise<bool> on_disk;
  plane->deliver_effects_to([&](const cluster_sim::Effect& effect) {
    on_disk.set_value(disk_.contains({"instance", std::get<cluster_sim::BootInstance>(effect).instance.str()}));
  });
  store_->fail_from_now_on();
  EXPECT_FALSE(plane->with([](Control& c) { return run_instance(c); }));
  store_->recover();
  EXPECT_TRUE(on_disk.get_future().get());
}

TEST_F(ControlPlaneTest, AFunctionThatThrowsLeavesItsChangesToTheNextDecision) {
  const auto plane = start();
  EXPECT_THROW(static_cast<void>(plane->with([](Control& c) {
                 c.documents.put("k", "a", "1");
                 throw std::runtime_error{"oh"};
               })),
               std::runtime_error);
  EXPECT_TRUE(plane->with([](Control&) {}));
  EXPECT_TRUE(disk_.contains({"document/k", "a"}));
}

TEST_F(ControlPlaneTest, ADecisionWithinADecisionEndsTheProcess) {
  const auto plane = start();
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(plane->read([&](const Control&) { return plane->read([](const Control&) { return 1; }); }), "holder_");
}

TEST(Documents, AreScannedByPrefixInOrderUntilTheVisitorHasEnough) {
  Documents documents;
  for (const char* key : {"web:2", "api:1", "web:1", "webhook:1"}) documents.put("task-definition", key, "{}");
  std::vector<std::string> seen;
  documents.scan("task-definition", "web:", [&](const std::string& key, const std::string&) {
    seen.push_back(key);
    return true;
  });
  EXPECT_THAT(seen, testing::ElementsAre("web:1", "web:2"));
  seen.clear();
  documents.scan("task-definition", [&](const std::string& key, const std::string&) {
    seen.push_back(key);
    return seen.size() < 2;
  });
  EXPECT_THAT(seen, testing::ElementsAre("api:1", "web:1"));
}

TEST(Documents, NoteEachChangeOnceAndNoneOfWhatIsRestored) {
  Documents documents;
  documents.restore("k", "old", "1");
  documents.put("k", "a", "1");
  documents.put("k", "a", "2");
  documents.erase("k", "old");
  documents.erase("k", "never");
  EXPECT_THAT(documents.take_changes(), testing::ElementsAre(Documents::Change{"k", "a"}, Documents::Change{"k", "old"}));
  EXPECT_THAT(documents.take_changes(), testing::IsEmpty());
  EXPECT_EQ(*documents.find("k", "a"), "2");
}

}  // namespace
}  // namespace berth::control

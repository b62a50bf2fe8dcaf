#include "broker/docker/volumes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/support/task_world.hpp"

namespace berth::docker {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::TaskWorld;

constexpr const char* kMount = "elasticfilesystem:ClientMount";
constexpr const char* kWrite = "elasticfilesystem:ClientWrite";

// Remembers the mounts that it was asked for.
class RecordingShare final : public fuse::Share {
 public:
  Result<UniqueFd> mount(const fuse::MountSpec& spec) override {
    if (failure) return fail(*failure);
    mounts.insert_or_assign(spec.id.str(), spec);
    return UniqueFd();
  }
  int held(const fuse::MountId& id) const override { return mounts.contains(id.str()) ? 77 : -1; }
  Result<std::vector<fuse::MountId>> recover() override { return {}; }
  void detach(const fuse::MountId& id) override { mounts.erase(id.str()); }
  Result<> set_rights(const fuse::MountId& id, fuse::Rights rights) override {
    mounts.at(id.str()).rights = rights;
    return {};
  }
  void set_network(fuse::zones::Network) override {}
  void set_throughput(const std::string&, std::optional<fuse::zones::Allowance>, double) override {}
  std::vector<fuse::zones::Gates::Throughput> throughput() const override { return {}; }
  std::vector<FileSystemUse> use(bool) override { return {}; }
  std::vector<MountStats> stats() const override { return {}; }

  std::map<std::string, fuse::MountSpec> mounts;
  std::optional<Error> failure;
};

class RecordingHost final : public runtime::HostPlaces {
 public:
  Result<> put(int, const std::string& source, const std::string& directory, bool) override {
    if (failure) return fail(*failure);
    places[directory] = source;
    return {};
  }
  void take_away(const std::string& directory) override { places.erase(directory); }
  bool used(const std::string&, const std::string&) override { return in_containers; }
  std::vector<std::string> below(const std::string&) override {
    std::vector<std::string> all;
    for (const auto& [directory, source] : places) all.push_back(directory);
    return all;
  }

  std::map<std::string, std::string> places;  // directory -> source
  bool in_containers = true;
  std::optional<Error> failure;
};

class DockerVolumes : public ::testing::Test {
 protected:
  DockerVolumes() {
    world.put_file_system_policy(testing::kEncryptedOnly);
    world.make_role("writer", {kMount, kWrite});
    world.make_role("reader", {kMount});
    world.make_role("outsider", {"s3:GetObject"});
    begin();
  }
  void begin(const std::string& role = "") {
    volumes.emplace(world.plane(), share, host,
                    Volumes::Options{.file_systems = "/state/file-systems", .places = "/state/volumes", .role = role});
  }
  // What a daemon that was killed and started again finds.
  void restart() {
    volumes.reset();
    world.restart();
    begin();
    volumes->recover();
  }
  Result<> create(const std::string& name, std::map<std::string, std::string> options) {
    options.emplace("file-system", "fs-1");
    return volumes->create(name, options);
  }
  std::string refusal(const std::map<std::string, std::string>& options) {
    const auto made = create("refused", options);
    return made ? "not refused" : made.error().message;
  }
  fuse::Rights rights() const { return share.mounts.begin()->second.rights; }

  TaskWorld world;
  RecordingShare share;
  RecordingHost host;
  std::optional<Volumes> volumes;
};

TEST_F(DockerVolumes, TheFirstMountMakesOneAndTheLastUnmountTakesItAway) {
  ASSERT_TRUE(create("data", {{"role", "writer"}}));
  EXPECT_THAT(share.mounts, IsEmpty());
  EXPECT_EQ(volumes->mount("data", "one").value(), "/state/volumes/data");
  EXPECT_EQ(volumes->mount("data", "two").value(), "/state/volumes/data");
  EXPECT_EQ(share.mounts.size(), 1U);
  EXPECT_EQ(host.places.at("/state/volumes/data"), share.mounts.begin()->first);
  EXPECT_TRUE(share.mounts.begin()->second.held);
  EXPECT_TRUE(volumes->unmount("data", "one"));
  EXPECT_EQ(share.mounts.size(), 1U);
  EXPECT_TRUE(volumes->unmount("data", "two"));
  EXPECT_THAT(share.mounts, IsEmpty());
  EXPECT_THAT(host.places, IsEmpty());
}

// docker cp mounts with the id of the running container.
TEST_F(DockerVolumes, WhoMountsTwiceUnmountsTwice) {
  ASSERT_TRUE(create("data", {{"role", "writer"}}));
  ASSERT_TRUE(volumes->mount("data", "container"));
  ASSERT_TRUE(volumes->mount("data", "container"));
  ASSERT_TRUE(volumes->unmount("data", "container"));
  EXPECT_EQ(share.mounts.size(), 1U);
  EXPECT_EQ(volumes->get("data")->mounts, 1U);
  ASSERT_TRUE(volumes->unmount("data", "container"));
  EXPECT_THAT(share.mounts, IsEmpty());
  EXPECT_TRUE(volumes->unmount("data", "container"));
}

TEST_F(DockerVolumes, PoliciesDecideAsForATask) {
  ASSERT_TRUE(create("read", {{"role", "reader"}}));
  ASSERT_TRUE(volumes->mount("read", "1"));
  EXPECT_EQ(rights(), (fuse::Rights{.mount = true, .write = false, .root_access = false}));
  ASSERT_TRUE(volumes->unmount("read", "1"));
  ASSERT_TRUE(create("closed", {{"role", "outsider"}}));
  EXPECT_THAT(
      volumes->mount("closed", "1").error().message,
      AllOf(HasSubstr("volume `closed`"), HasSubstr(R"(missing: {"Effect": "Allow", "Action": ")" + std::string(kMount))));
  ASSERT_TRUE(create("nobody", {}));
  EXPECT_THAT(volumes->mount("nobody", "1").error().message, HasSubstr("-o role=ROLE"));
  EXPECT_THAT(share.mounts, IsEmpty());
}

TEST_F(DockerVolumes, APolicyThatChangesActsOnWhatIsMountedAndOnWhoMountsNext) {
  ASSERT_TRUE(create("data", {{"role", "writer"}}));
  ASSERT_TRUE(volumes->mount("data", "1"));
  EXPECT_TRUE(rights().write);
  world.decide([](control::Control& c) {
    ASSERT_TRUE(c.edit_identities().update_role(
        "writer", [](credentials::Role& role) -> Result<> { return role.inline_policies.clear(), Result<>{}; }));
  });
  volumes->refresh_rights();
  EXPECT_FALSE(rights().mount);
  EXPECT_FALSE(volumes->mount("data", "2"));
  EXPECT_THAT(volumes->get("data")->rights, HasSubstr("none: "));
}

TEST_F(DockerVolumes, ReadOnlyHoldsWhateverTheRoleMay) {
  ASSERT_TRUE(create("data", {{"role", "writer"}, {"read-only", "true"}}));
  ASSERT_TRUE(volumes->mount("data", "1"));
  EXPECT_FALSE(rights().write);
  volumes->refresh_rights();
  EXPECT_FALSE(rights().write);
}

TEST_F(DockerVolumes, TheDefaultRoleIsOfVolumesThatNameNone) {
  begin("reader");
  ASSERT_TRUE(create("data", {}));
  ASSERT_TRUE(create("other", {{"role", "writer"}}));
  EXPECT_EQ(volumes->get("data")->options.role, TaskWorld::role_arn("reader"));
  EXPECT_EQ(volumes->get("other")->options.role, TaskWorld::role_arn("writer"));
}

TEST_F(DockerVolumes, WhatIsNotThereIsToldWhenTheVolumeIsMade) {
  EXPECT_THAT(refusal({{"file-system", "fs-2"}}), HasSubstr("there is no available file system `fs-2`"));
  EXPECT_THAT(refusal({{"access-point", "fsap-2"}}), HasSubstr("there is no access point `fsap-2`"));
  EXPECT_THAT(refusal({{"zone", "us-east-1b"}}), HasSubstr("no mount target in zone us-east-1b; it has them in us-east-1a"));
  EXPECT_THAT(refusal({{"role", "none"}}), HasSubstr("there is no role `arn:aws:iam::123456789012:role/none`"));
  EXPECT_THAT(volumes->mount("refused", "1").error().message, HasSubstr("docker volume create -d berth"));
  EXPECT_THAT(volumes->list(), IsEmpty());
}

TEST_F(DockerVolumes, MadeAgainWithTheSameOptionsItIsTheSameVolume) {
  ASSERT_TRUE(create("data", {{"role", "writer"}}));
  EXPECT_TRUE(create("data", {{"role", "writer"}, {"zone", "us-east-1a"}}));
  EXPECT_TRUE(volumes->create("data", {}));
  const auto other = create("data", {{"role", "reader"}});
  ASSERT_FALSE(other);
  EXPECT_THAT(other.error().message, HasSubstr("docker volume rm data"));
}

TEST_F(DockerVolumes, AMountedVolumeIsNotRemoved) {
  ASSERT_TRUE(create("data", {{"role", "writer"}}));
  ASSERT_TRUE(volumes->mount("data", "1"));
  EXPECT_THAT(volumes->remove("data").error().message, HasSubstr("stop them first"));
  ASSERT_TRUE(volumes->unmount("data", "1"));
  EXPECT_TRUE(volumes->remove("data"));
  EXPECT_FALSE(volumes->remove("data"));
}

TEST_F(DockerVolumes, OneWhoseContainersDiedUnseenIsRemoved) {
  ASSERT_TRUE(create("data", {{"role", "writer"}}));
  ASSERT_TRUE(volumes->mount("data", "1"));
  host.in_containers = false;
  EXPECT_TRUE(volumes->remove("data"));
  EXPECT_THAT(share.mounts, IsEmpty());
  EXPECT_THAT(host.places, IsEmpty());
}

// A daemon that died on its way to the first mount, or from the last unmount.
TEST_F(DockerVolumes, AMountThatNobodyHasIsTakenAwayByTheNextDaemon) {
  ASSERT_TRUE(create("data", {{"role", "writer"}}));
  ASSERT_TRUE(volumes->mount("data", "1"));
  world.decide([](control::Control& c) {
    auto record = nlohmann::json::parse(*c.documents.find("docker-volume", "data"));
    record["users"] = nlohmann::json::object();
    c.documents.put("docker-volume", "data", record.dump());
  });
  restart();
  EXPECT_THAT(share.mounts, IsEmpty());
  EXPECT_THAT(host.places, IsEmpty());
  EXPECT_TRUE(volumes->mount("data", "2"));
}

TEST_F(DockerVolumes, AMountThatFailsLeavesNothing) {
  ASSERT_TRUE(create("data", {{"role", "writer"}}));
  share.failure = Error{Code::unavailable, "the mount target in us-east-1a does not answer", 0};
  EXPECT_THAT(volumes->mount("data", "1").error().message, HasSubstr("does not answer"));
  share.failure.reset();
  host.failure = Error{Code::io, "move_mount: no", EPERM};
  EXPECT_FALSE(volumes->mount("data", "1"));
  EXPECT_THAT(share.mounts, IsEmpty());
  host.failure.reset();
  EXPECT_TRUE(volumes->mount("data", "1"));
  EXPECT_EQ(volumes->get("data")->mounts, 1U);
}

TEST_F(DockerVolumes, ADirectoryThatIsNotThereIsNamed) {
  ASSERT_TRUE(create("data", {{"role", "writer"}, {"path", "/none"}}));
  share.failure = Error{Code::not_found, "root directory `/none` does not exist", 0};
  EXPECT_THAT(volumes->mount("data", "1").error().message, HasSubstr("directory `/none` of fs-1 does not exist: make it first"));
}

TEST_F(DockerVolumes, WhoHasItMountedIsKnownToTheNextDaemon) {
  ASSERT_TRUE(create("data", {{"role", "writer"}}));
  ASSERT_TRUE(volumes->mount("data", "1"));
  const auto before = host.places;
  restart();
  EXPECT_EQ(host.places, before);
  EXPECT_EQ(volumes->get("data")->mounts, 1U);
  ASSERT_TRUE(volumes->unmount("data", "1"));
  EXPECT_THAT(host.places, IsEmpty());
  EXPECT_THAT(share.mounts, IsEmpty());
}

TEST_F(DockerVolumes, APlaceThatSomebodyTookAwayIsMadeAgain) {
  ASSERT_TRUE(create("data", {{"role", "writer"}}));
  ASSERT_TRUE(volumes->mount("data", "1"));
  host.places.clear();
  ASSERT_TRUE(volumes->mount("data", "2"));
  EXPECT_EQ(host.places.size(), 1U);
  EXPECT_EQ(share.mounts.size(), 1U);
}

// The keeper was killed, and every mount of the share died with it.
TEST_F(DockerVolumes, AfterABerthThatIsGoneNobodyHasAnythingMounted) {
  ASSERT_TRUE(create("data", {{"role", "writer"}}));
  ASSERT_TRUE(volumes->mount("data", "1"));
  host.places["/state/volumes/unknown"] = "volume/unknown~1";
  share.mounts.clear();
  restart();
  EXPECT_THAT(host.places, IsEmpty());
  EXPECT_EQ(volumes->get("data")->mounts, 0U);
  EXPECT_TRUE(volumes->unmount("data", "1"));
  EXPECT_TRUE(volumes->mount("data", "2"));
}

TEST_F(DockerVolumes, BerthsEndUnmountsAll) {
  for (const char* name : {"a", "b"}) {
    ASSERT_TRUE(create(name, {{"role", "writer"}}));
    ASSERT_TRUE(volumes->mount(name, "1"));
  }
  volumes->unmount_all();
  EXPECT_THAT(host.places, IsEmpty());
  EXPECT_THAT(share.mounts, IsEmpty());
  restart();
  EXPECT_EQ(volumes->list().size(), 2U);
}

TEST_F(DockerVolumes, LongNamesHaveMountsOfTheirOwn) {
  const std::string name(200, 'x');
  ASSERT_TRUE(create(name, {{"role", "writer"}}));
  ASSERT_TRUE(create(name.substr(1), {{"role", "writer"}}));
  ASSERT_TRUE(volumes->mount(name, "1"));
  ASSERT_TRUE(volumes->mount(name.substr(1), "1"));
  EXPECT_EQ(share.mounts.size(), 2U);
  for (const auto& [id, spec] : share.mounts) EXPECT_LE(id.size(), 63U);
}

}  // namespace
}  // namespace berth::docker

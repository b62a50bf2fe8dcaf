// Who may do what on a mount: rights, access points, permissions of the caller.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <string>

#include <gtest/gtest.h>

#include "tests/kernel_share/served_share.hpp"
#include "tests/support/requirements.hpp"

namespace berth::fuse::test {
namespace {

constexpr Rights kAll{.write = true, .root_access = true};
constexpr Rights kReadOnly{.write = false, .root_access = true};
constexpr Rights kNoRoot{.write = true, .root_access = false};
const As kAlice{.uid = 1001, .gid = 1001, .groups = {}};
const As kBob{.uid = 1002, .gid = 1002, .groups = {}};
const As kBobInTeam{.uid = 1002, .gid = 1002, .groups = {2000}};

class RightsOfMounts : public testing::Test {
 protected:
  void SetUp() override {
    BERTH_NEEDS(why_no_mounts().empty(), why_no_mounts());
    backing_ = temporary_ / "backing";
    ASSERT_EQ(shell("mkdir -m 1777 " + backing_), 0);
  }

  // A mount of this spec at temporary/name; the path.
  Place place(const std::string& name, MountSpec spec) {
    spec.id = MountId("task/" + name);
    spec.backing_directory = backing_;
    return {.spec = std::move(spec), .path = temporary_ / name};
  }
  void serve(const std::vector<Place>& places, Share::Options options = {}) {
    share_ = std::make_unique<ServedShare>(places, options);
    ASSERT_EQ(share_->error(), "");
  }

  TemporaryDirectory temporary_;
  std::string backing_;
  std::unique_ptr<ServedShare> share_;
};

ino_t number_listed_for(const std::string& directory, const std::string& name) {
  DIR* stream = opendir(directory.c_str());
  while (const dirent* entry = readdir(stream)) {
    if (entry->d_name == name) return entry->d_ino;
  }
  return 0;
}

int errno_of(int result) { return result < 0 ? errno : 0; }

TEST_F(RightsOfMounts, WithoutWriteEveryChangeIsErofsAndReadingWorks) {
  ASSERT_EQ(shell("cd " + backing_ + " && echo text > file && mkdir dir && chmod 666 file"), 0);
  serve({place("ro", {.rights = kReadOnly})});
  const std::string at = temporary_ / "ro";
  EXPECT_EQ(output_of("cat " + at + "/file"), "text");
  const auto file = at + "/file";
  EXPECT_EQ(in_child({}, [&] { return errno_of(open(file.c_str(), O_WRONLY)); }), EROFS);
  EXPECT_EQ(in_child({}, [&] { return errno_of(open(file.c_str(), O_RDONLY | O_TRUNC)); }), EROFS);
  EXPECT_EQ(in_child({}, [&] { return errno_of(open((at + "/new").c_str(), O_RDWR | O_CREAT, 0644)); }), EROFS);
  EXPECT_EQ(in_child({}, [&] { return errno_of(open(file.c_str(), O_RDONLY | O_CREAT, 0644)); }), 0);
  EXPECT_EQ(in_child({}, [&] { return errno_of(mkdir((at + "/d").c_str(), 0755)); }), EROFS);
  EXPECT_EQ(in_child({}, [&] { return errno_of(rmdir((at + "/dir").c_str())); }), EROFS);
  EXPECT_EQ(in_child({}, [&] { return errno_of(unlink(file.c_str())); }), EROFS);
  EXPECT_EQ(in_child({}, [&] { return errno_of(rename(file.c_str(), (at + "/x").c_str())); }), EROFS);
  EXPECT_EQ(in_child({}, [&] { return errno_of(link(file.c_str(), (at + "/x").c_str())); }), EROFS);
  EXPECT_EQ(in_child({}, [&] { return errno_of(symlink("a", (at + "/x").c_str())); }), EROFS);
  EXPECT_EQ(in_child({}, [&] { return errno_of(chmod(file.c_str(), 0600)); }), EROFS);
  EXPECT_EQ(in_child({}, [&] { return errno_of(chown(file.c_str(), 1, 1)); }), EROFS);
  EXPECT_EQ(in_child({}, [&] { return errno_of(truncate(file.c_str(), 0)); }), EROFS);
  EXPECT_EQ(in_child({}, [&] { return errno_of(mknod((at + "/p").c_str(), S_IFIFO | 0644, 0)); }), EROFS);
  EXPECT_EQ(output_of("ls -A " + backing_), "dir\nfile");
}

TEST_F(RightsOfMounts, RightsChangeOnTheLiveMount) {
  serve({place("data", {.rights = kReadOnly})});
  const std::string at = temporary_ / "data";
  EXPECT_NE(shell("touch " + at + "/a 2>/dev/null"), 0);
  ASSERT_TRUE(share_->set_rights(MountId("task/data"), kAll));
  EXPECT_EQ(shell("touch " + at + "/a"), 0);
  ASSERT_TRUE(share_->set_rights(MountId("task/data"), kReadOnly));
  EXPECT_NE(shell("touch " + at + "/b 2>/dev/null"), 0);
  EXPECT_FALSE(share_->set_rights(MountId("task/other"), kAll));
}

TEST_F(RightsOfMounts, WithoutRootAccessRootIsNobody) {
  ASSERT_EQ(shell("cd " + backing_ +
                  " && echo secret > s && chmod 600 s && mkdir closed && chmod 700 closed && "
                  "echo x > closed/x && chmod 644 closed/x"),
            0);
  serve({place("data", {.rights = kNoRoot})});
  const std::string at = temporary_ / "data";
  EXPECT_EQ(shell("touch " + at + "/mine"), 0);
  EXPECT_EQ(output_of("stat -c %u:%g " + at + "/mine"), "65534:65534");
  EXPECT_EQ(in_child({}, [&] { return errno_of(open((at + "/s").c_str(), O_RDONLY)); }), EACCES);
  EXPECT_EQ(in_child({}, [&] { return errno_of(open((at + "/closed/x").c_str(), O_RDONLY)); }), EACCES);
  EXPECT_EQ(in_child({}, [&] { return errno_of(chown((at + "/mine").c_str(), 0, 0)); }), EPERM);
  EXPECT_EQ(in_child({}, [&] { return errno_of(unlink((at + "/s").c_str())); }), EPERM);  // sticky directory
  EXPECT_EQ(shell("touch " + at + "/alices", kAlice), 0);
  EXPECT_EQ(output_of("stat -c %u " + at + "/alices"), "1001");
}

TEST_F(RightsOfMounts, AnAccessPointActsAsItsUserWhoeverAsks) {
  MountSpec spec{.root = "/teams/red", .rights = kNoRoot};
  spec.creation = CreationInfo{.owner_uid = 5000, .owner_gid = 5001, .permissions = 0750};
  spec.identity = PosixUser{.uid = 5000, .gid = 5001, .secondary_gids = {2000}};
  serve({place("ap", spec)});
  const std::string at = temporary_ / "ap";
  EXPECT_EQ(output_of("stat -c %u:%g:%a " + backing_ + "/teams/red"), "5000:5001:750");
  EXPECT_EQ(shell("cd " + at + " && echo a > by_root && mkdir dir && chmod 700 dir && echo b > dir/in"), 0);
  EXPECT_EQ(shell("cd " + at + " && cat dir/in && echo c > by_alice && rm by_root", kAlice), 0);
  EXPECT_EQ(output_of("stat -c %u:%g " + backing_ + "/teams/red/by_alice"), "5000:5001");
  // What belongs to others stays closed, even for a caller who is that other.
  ASSERT_EQ(shell("cd " + backing_ +
                  "/teams/red && echo s > alices && chown 1001:1001 alices && chmod 600 alices && "
                  "echo t > teams && chown 0:2000 teams && chmod 040 teams"),
            0);
  EXPECT_EQ(in_child(kAlice, [&] { return errno_of(open((at + "/alices").c_str(), O_RDONLY)); }), EACCES);
  EXPECT_EQ(in_child(kAlice, [&] { return errno_of(open((at + "/teams").c_str(), O_RDONLY)); }), 0);
  EXPECT_EQ(in_child({}, [&] { return errno_of(chown((at + "/by_alice").c_str(), 1001, 1001)); }), EPERM);
}

TEST_F(RightsOfMounts, AnAccessPointOfRootWithoutRootAccessIsNobody) {
  MountSpec spec{.rights = kNoRoot};
  spec.identity = PosixUser{.uid = 0, .gid = 0, .secondary_gids = {}};
  serve({place("ap", spec)});
  EXPECT_EQ(shell("touch " + (temporary_ / "ap") + "/f"), 0);
  EXPECT_EQ(output_of("stat -c %u " + backing_ + "/f"), "65534");
}

TEST_F(RightsOfMounts, ARootDirectoryThatIsThereKeepsItsOwnerAndMode) {
  ASSERT_EQ(
      shell("mkdir -m 2711 " + backing_ + "/there && chown 7:8 " + backing_ + "/there && chmod 2711 " + backing_ + "/there"), 0);
  MountSpec spec{.root = "/there/new", .rights = kAll};
  spec.creation = CreationInfo{.owner_uid = 5000, .owner_gid = 5001, .permissions = 0750};
  serve({place("ap", spec)});
  EXPECT_EQ(output_of("stat -c %u:%g:%a " + backing_ + "/there " + backing_ + "/there/new"), "7:8:2711\n5000:5001:750");
}

TEST_F(RightsOfMounts, ARootDirectoryThatIsMissingIsNotMadeWithoutCreationInfo) {
  const ServedShare share({place("ap", {.root = "/missing", .rights = kAll})});
  EXPECT_NE(share.error().find("does not exist"), std::string::npos) << share.error();
  EXPECT_EQ(output_of("ls -A " + backing_), "");
}

TEST_F(RightsOfMounts, ARootDirectoryBehindASymlinkIsRefused) {
  ASSERT_EQ(shell("ln -s /etc " + backing_ + "/out"), 0);
  const ServedShare share({place("ap", {.root = "/out", .rights = kAll})});
  EXPECT_NE(share.error(), "");
  const ServedShare above({place("ap2", {.root = "/../..", .rights = kAll})});
  EXPECT_NE(above.error().find(".."), std::string::npos) << above.error();
}

TEST_F(RightsOfMounts, NothingLeadsOutOfAnAccessPoint) {
  ASSERT_EQ(shell("cd " + backing_ +
                  " && mkdir -p ap other && echo secret > other/secret && ln -s ../other/secret ap/rel && "
                  "ln -s " +
                  backing_ + "/other ap/abs"),
            0);
  serve({place("ap", {.root = "/ap", .rights = kAll}), place("all", {.rights = kAll})});
  const std::string at = temporary_ / "ap";
  EXPECT_EQ(output_of("stat -c %i " + at + "/.."), output_of("stat -c %i " + temporary_.path()));
  EXPECT_EQ(output_of("ls -Ai " + at + " | grep -c secret"), "0");
  EXPECT_NE(shell("cat " + at + "/rel 2>/dev/null"), 0);  // resolved where the mount lies: nothing there
  EXPECT_NE(shell("ln " + (temporary_ / "all") + "/other/secret " + at + "/hard 2>/dev/null"), 0);
  EXPECT_NE(in_child({}, [&] { return errno_of(rename((at + "/rel").c_str(), ((temporary_ / "all") + "/x").c_str())); }), 0);
  // The number of the directory above says nothing either.
  EXPECT_EQ(in_child({}, [&] { return number_listed_for(at, "..") == number_listed_for(at, ".") ? 0 : 1; }), 0);
}

TEST_F(RightsOfMounts, PermissionsOfTheCallerAreChecked) {
  serve({place("data", {.rights = kAll})});
  const std::string at = temporary_ / "data";
  ASSERT_EQ(shell("cd " + at + " && echo a > alices && chmod 600 alices && mkdir -m 700 dir && touch dir/f", kAlice), 0);
  EXPECT_EQ(in_child(kBob, [&] { return errno_of(open((at + "/alices").c_str(), O_RDONLY)); }), EACCES);
  EXPECT_EQ(in_child(kBob,
                     [&] {
                       struct stat s{};
                       return errno_of(stat((at + "/dir/f").c_str(), &s));
                     }),
            EACCES);
  EXPECT_EQ(in_child(kBob, [&] { return errno_of(chmod((at + "/alices").c_str(), 0777)); }), EPERM);
  EXPECT_EQ(in_child(kBob, [&] { return errno_of(unlink((at + "/alices").c_str())); }), EPERM);
  EXPECT_EQ(in_child(kAlice, [&] { return errno_of(open((at + "/alices").c_str(), O_RDONLY)); }), 0);
}

TEST_F(RightsOfMounts, SupplementaryGroupsOfTheCallerCount) {
  ASSERT_EQ(shell("cd " + backing_ + " && mkdir -m 2770 team && chown 0:2000 team && chmod 2770 team"), 0);
  serve({place("data", {.rights = kAll})});
  const std::string team = (temporary_ / "data") + "/team";
  EXPECT_NE(shell("touch " + team + "/b 2>/dev/null", kBob), 0);
  EXPECT_EQ(shell("touch " + team + "/b && mkdir " + team + "/d", kBobInTeam), 0);
  EXPECT_EQ(output_of("stat -c %u:%g " + team + "/b"), "1002:2000");
  EXPECT_EQ(output_of("stat -c %a " + team + "/d"), "2755");
  EXPECT_EQ(shell("chmod 2644 " + team + "/b", kBobInTeam), 0);
  EXPECT_EQ(output_of("stat -c %a " + team + "/b"), "2644");
}

TEST_F(RightsOfMounts, AProgramThatMayBeExecutedNeedNotBeReadable) {
  ASSERT_EQ(shell("cd " + backing_ +
                  " && cp /bin/true all && cp /bin/true team && cp /bin/true some && chmod 711 all && "
                  "chgrp 2000 team && chmod 710 team && chmod 744 some"),
            0);
  serve({place("plain", {.rights = kAll}), place("bob", {.identity = PosixUser{1002, 1002, {}}, .rights = kAll}),
         place("bob-in-team", {.identity = PosixUser{1002, 1002, {2000}}, .rights = kAll})});
  constexpr int kCannotBeExecuted = 126;
  const auto run = [&](const std::string& program, const As& as) { return shell(temporary_ / program, as); };
  EXPECT_EQ(run("plain/all", kBob), 0);
  EXPECT_EQ(run("plain/team", kBob), kCannotBeExecuted);
  EXPECT_EQ(run("plain/team", kBobInTeam), 0);
  EXPECT_EQ(run("plain/some", kBob), kCannotBeExecuted);
  EXPECT_EQ(run("bob/all", {}), 0);
  EXPECT_EQ(run("bob/team", {}), kCannotBeExecuted);
  EXPECT_EQ(run("bob-in-team/team", {}), 0);
  EXPECT_EQ(run("bob/some", {}), kCannotBeExecuted);
  for (const char* path : {"plain/all", "bob/all"}) {
    EXPECT_EQ(in_child(kBob, [&] { return errno_of(open((temporary_ / path).c_str(), O_RDONLY)); }), EACCES) << path;
  }
}

TEST_F(RightsOfMounts, TheCallersUmaskIsApplied) {
  serve({place("data", {.rights = kAll})});
  const std::string at = temporary_ / "data";
  EXPECT_EQ(shell("umask 027; touch " + at + "/f; mkdir " + at + "/d"), 0);
  EXPECT_EQ(output_of("stat -c %a " + at + "/f " + at + "/d"), "640\n750");
}

class SuidBits : public RightsOfMounts, public testing::WithParamInterface<bool> {};
INSTANTIATE_TEST_SUITE_P(Share, SuidBits, testing::Bool(),
                         [](const auto& instance) { return instance.param ? "Passthrough" : "ThroughTheDaemon"; });

TEST_P(SuidBits, AreTakenAwayWhenAnotherUserWrites) {
  serve({place("data", {.rights = kAll})}, {.passthrough = GetParam()});
  const std::string file = (temporary_ / "data") + "/f";
  const auto suid = [&] { return shell("echo x > " + file + " && chmod 6777 " + file); };
  const auto mode = [&] { return output_of("stat -c %a " + file) + " " + output_of("stat -c %a " + backing_ + "/f"); };
  ASSERT_EQ(suid(), 0);
  ASSERT_EQ(mode(), "6777 6777");
  EXPECT_EQ(in_child(kBob, [&] { return write(open(file.c_str(), O_WRONLY), "y", 1) == 1 ? 0 : errno; }), 0);
  EXPECT_EQ(mode(), "777 777");
  ASSERT_EQ(suid(), 0);
  EXPECT_EQ(in_child(kBob, [&] { return errno_of(open(file.c_str(), O_WRONLY | O_TRUNC)); }), 0);
  EXPECT_EQ(mode(), "777 777");
  ASSERT_EQ(suid(), 0);
  EXPECT_EQ(in_child(kBob, [&] { return errno_of(truncate(file.c_str(), 0)); }), 0);
  EXPECT_EQ(mode(), "777 777");
  ASSERT_EQ(suid(), 0);
  EXPECT_EQ(shell("chown 1001:1001 " + file), 0);
  EXPECT_EQ(mode(), "777 777");
}

}  // namespace
}  // namespace berth::fuse::test

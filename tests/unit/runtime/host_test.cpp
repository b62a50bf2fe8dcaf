// What of the host's files and groups the runtime reads: cgroups, mounts, users, images.
#include <gmock/gmock.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/runtime/cgroups.hpp"
#include "broker/runtime/files.hpp"
#include "broker/runtime/host_cover.hpp"
#include "broker/runtime/image.hpp"
#include "broker/runtime/mounts.hpp"
#include "broker/runtime/user.hpp"

namespace berth::runtime {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class InDirectory : public ::testing::Test {
 protected:
  InDirectory() {
    char name[] = "/tmp/berth-unit-XXXXXX";
    directory_ = ::mkdtemp(name);
  }
  ~InDirectory() override { (void)remove_tree(directory_); }
  std::string directory_;
};

using CgroupsTest = InDirectory;
using ImageReferenceTest = InDirectory;
using UserTest = InDirectory;
using FilesTest = InDirectory;

MountEntry v1_mount(const std::string& path, const std::string& controllers) {
  return {"/", path, "cgroup", "none", "rw", controllers, false};
}

TEST_F(CgroupsTest, AHybridHostIsUsedByItsControllers) {
  const auto cgroups = Cgroups::find({v1_mount(directory_ + "/cpu,cpuacct", "rw,cpu,cpuacct"),
                                      v1_mount(directory_ + "/memory", "rw,memory"),
                                      {"/", directory_ + "/unified", "cgroup2", "none", "rw", "rw", false}},
                                     "berth-1");
  ASSERT_TRUE(cgroups);
  EXPECT_EQ(cgroups->version(), Cgroups::Version::v1);
  EXPECT_EQ(cgroups->directory("memory", TaskId("t"), "app"), directory_ + "/memory/berth-1/t/app");
  EXPECT_EQ(cgroups->directory("cpu", TaskId("t")), directory_ + "/cpu,cpuacct/berth-1/t");
  EXPECT_EQ(cgroups->container_path(TaskId("t"), "app"), "/berth-1/t/app");
}

TEST_F(CgroupsTest, AUnifiedHostIsUsedByItsOnlyTree) {
  const auto cgroups = Cgroups::find({{"/", directory_, "cgroup2", "none", "rw", "rw,nsdelegate", false}}, "berth-1");
  ASSERT_TRUE(cgroups);
  EXPECT_EQ(cgroups->version(), Cgroups::Version::v2);
  EXPECT_EQ(cgroups->directory("memory", TaskId("t")), directory_ + "/berth-1/t");
}

TEST_F(CgroupsTest, AHostWithoutCgroupsSaysWhatToDo) {
  EXPECT_THAT(Cgroups::find({}, "berth-1").error().message, HasSubstr("mount cgroup2"));
}

TEST_F(CgroupsTest, LimitsOfATaskAreWrittenInVersion2) {
  for (const std::string& level : {std::string(), std::string("/berth-1"), std::string("/berth-1/t")}) {
    ASSERT_TRUE(make_directories(directory_ + level));
    ASSERT_TRUE(write_file(directory_ + level + "/cgroup.subtree_control", ""));
  }
  const std::string group = directory_ + "/berth-1/t";
  for (const char* file : {"/cpu.max", "/memory.max"}) ASSERT_TRUE(write_file(group + file, ""));
  const auto cgroups = Cgroups::find({{"/", directory_, "cgroup2", "none", "rw", "rw", false}}, "berth-1");
  ASSERT_TRUE(cgroups->create(TaskId("t"), 512, 256));
  EXPECT_EQ(read_file(group + "/cpu.max").value(), "50000 100000");
  EXPECT_EQ(read_file(group + "/memory.max").value(), "268435456");
}

TEST_F(CgroupsTest, MemoryKillsAreCountedInBothVersions) {
  ASSERT_TRUE(make_directories(directory_ + "/berth-1/t/app"));
  ASSERT_TRUE(write_file(directory_ + "/berth-1/t/app/memory.events", "low 0\nhigh 0\nmax 9\noom 2\noom_kill 3\n"));
  const auto unified = Cgroups::find({{"/", directory_, "cgroup2", "none", "rw", "rw", false}}, "berth-1");
  EXPECT_EQ(unified->memory_kills(TaskId("t"), "app"), 3u);
  ASSERT_TRUE(write_file(directory_ + "/berth-1/t/app/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n"));
  const auto split = Cgroups::find({v1_mount(directory_, "rw,memory,cpu")}, "berth-1");
  EXPECT_EQ(split->memory_kills(TaskId("t"), "app"), 4u);
}

TEST(MountTable, IsReadWithItsEscapesAndOptionalFields) {
  const auto table = parse_mount_table(
      "27 1 254:0 / / rw,relatime shared:1 master:2 - ext4 /dev/vda rw,discard\n"
      "35 31 0:32 /sub /mnt/a\\040b ro - tmpfs tmp rw,size=4k\n");
  ASSERT_EQ(table.size(), 2u);
  EXPECT_EQ(table[0].type, "ext4");
  EXPECT_TRUE(table[0].shared);
  EXPECT_EQ(table[1].mount_point, "/mnt/a b");
  EXPECT_EQ(table[1].root, "/sub");
  EXPECT_EQ(table[1].super_options, "rw,size=4k");
  EXPECT_FALSE(table[1].shared);
}

TEST(MountPlan, ShowsProgramsAndHidesTheRest) {
  const MountPlan plan = plan_mounts({{"/", "/", "ext4", "disk", "rw", "rw", false},
                                      {"/", "/usr", "ext4", "disk", "ro", "ro", false},
                                      {"/", "/usr/secret", "tmpfs", "none", "ro", "ro", false},
                                      {"/", "/srv/data", "ext4", "disk", "rw", "rw", false},
                                      {"/", "/work", "fuse.sshfs", "none", "rw", "rw", false}});
  EXPECT_THAT(plan.bind, ElementsAre("/usr"));
  EXPECT_THAT(plan.hide, ElementsAre("/usr/secret", "/srv/data", "/work"));
}

TEST(HiddenByDefault, HoldsWhatTasksMustNotSee) {
  for (const char* path : {"/root", "/home", "/etc/shadow*", "/etc/gshadow*", "/etc/ssh/ssh_host_*", "/run", "/var/lib/docker",
                           "/var/lib/containers"})
    EXPECT_THAT(hidden_by_default(), Contains(path));
}

TEST(OverlayEscaped, KeepsSeparatorsOutOfOptions) { EXPECT_EQ(overlay_escaped("/a:b,c\\d"), "/a\\:b\\,c\\\\d"); }

TEST_F(ImageReferenceTest, TellsTheThreeKindsApart) {
  using Kind = ImageReference::Kind;
  ASSERT_TRUE(make_directories(directory_ + "/root"));
  ASSERT_TRUE(make_directories(directory_ + "/layout"));
  ASSERT_TRUE(write_file(directory_ + "/layout/oci-layout", "{}"));
  EXPECT_EQ(parse_image("host")->kind, Kind::host);
  EXPECT_EQ(parse_image(directory_ + "/root")->kind, Kind::directory);
  EXPECT_EQ(parse_image(directory_ + "/layout")->kind, Kind::oci_layout);
  EXPECT_EQ(parse_image(directory_ + "/layout:1.2")->tag, "1.2");
  EXPECT_EQ(parse_image(directory_ + "/layout:1.2")->path, directory_ + "/layout");
}

TEST_F(ImageReferenceTest, RefusesNamesOfRegistriesAndWhatIsNotThere) {
  for (const std::string& image :
       {std::string("nginx"), std::string("public.ecr.aws/x/y:1"), directory_ + "/missing", directory_ + ":1", std::string()})
    EXPECT_THAT(parse_image(image).error().message, HasSubstr("CannotPullContainerError: `" + image + "`")) << image;
}

TEST_F(UserTest, NamesComeFromTheImage) {
  ASSERT_TRUE(make_directories(directory_ + "/etc"));
  ASSERT_TRUE(write_file(directory_ + "/etc/passwd", "root:x:0:0::/root:/bin/sh\napp:x:77:88::/srv:/bin/sh\nbroken\n"));
  ASSERT_TRUE(write_file(directory_ + "/etc/group", "root:x:0:\napp:x:88:\nlogs:x:99:other,app\n"));
  const auto app = resolve_user("app", directory_);
  ASSERT_TRUE(app);
  EXPECT_EQ(app->uid, 77u);
  EXPECT_EQ(app->gid, 88u);
  EXPECT_EQ(app->home, "/srv");
  EXPECT_THAT(app->additional_gids, ElementsAre(99u));
  EXPECT_EQ(resolve_user("app:logs", directory_)->gid, 99u);
  EXPECT_EQ(resolve_user("77", directory_)->gid, 88u);
  EXPECT_EQ(resolve_user("1234:5678", directory_)->gid, 5678u);
  EXPECT_EQ(resolve_user("", directory_)->uid, 0u);
  EXPECT_EQ(resolve_user("nosuch", directory_).error().message, "the image knows no user `nosuch`");
}

TEST_F(UserTest, ALinkInTheImageDoesNotLeadToTheHostsUsers) {
  ASSERT_TRUE(make_directories(directory_ + "/image/etc"));
  ASSERT_TRUE(write_file(directory_ + "/passwd", "outside:x:1:1::/:/\n"));
  ASSERT_EQ(::symlink("../../../passwd", (directory_ + "/image/etc/passwd").c_str()), 0);
  EXPECT_FALSE(resolve_user("outside", directory_ + "/image"));
}

TEST_F(FilesTest, ATreeIsRemovedWithoutFollowingLinks) {
  ASSERT_TRUE(make_directories(directory_ + "/tree/a/b"));
  ASSERT_TRUE(write_file(directory_ + "/kept", "x"));
  ASSERT_EQ(::symlink(directory_.c_str(), (directory_ + "/tree/a/link").c_str()), 0);
  ASSERT_TRUE(remove_tree(directory_ + "/tree"));
  EXPECT_EQ(::access((directory_ + "/kept").c_str(), F_OK), 0);
  EXPECT_NE(::access((directory_ + "/tree").c_str(), F_OK), 0);
  EXPECT_TRUE(remove_tree(directory_ + "/tree"));
}

}  // namespace
}  // namespace berth::runtime

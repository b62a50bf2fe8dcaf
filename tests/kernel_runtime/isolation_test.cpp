// What a task can't reach, and what limits hold.
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "broker/runtime/files.hpp"
#include "broker/runtime/mounts.hpp"
#include "broker/runtime/volumes.hpp"
#include "tests/kernel_runtime/runtime_fixture.hpp"

namespace berth::runtime::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(RuntimeTest, AHostImageHidesTheHostsSecrets) {
  ASSERT_TRUE(write_file(state_ + "/admin-key", "secret", 0600));
  const std::string text = run(shell_task(
      "nosy",
      "cat " + state_ +
          "/admin-key; ls -A /root /home /run /tmp /var/log | grep -v : ; cat /etc/shadow /etc/gshadow; "
          "ls /etc/ssh/ssh_host_* ; ls -d /var/lib/docker/*; test -e /etc/passwd && echo visible; mkdir /root/x && ls -A /root"));
  EXPECT_THAT(text, Not(HasSubstr("secret")));
  EXPECT_THAT(text, Not(HasSubstr("root:")));
  EXPECT_THAT(text, Not(HasSubstr(".bashrc")));
  EXPECT_THAT(text, HasSubstr("stdout visible\nstdout x\n"));
}

TEST_F(RuntimeTest, WhatATaskWritesIntoItsRootIsThrownAway) {
  const std::string text =
      run(shell_task("writer", "echo changed > /etc/berth-test && cat /etc/berth-test && rm /etc/passwd && echo removed"));
  EXPECT_THAT(text, AllOf(HasSubstr("stdout changed"), HasSubstr("stdout removed")));
  EXPECT_NE(::access("/etc/berth-test", F_OK), 0);
  EXPECT_EQ(::access("/etc/passwd", F_OK), 0);
}

TEST_F(RuntimeTest, AReadOnlyRootCanNotBeWritten) {
  TaskLaunch launch = shell_task("fixed", "touch /x || echo refused; touch /scratch/x && echo volume");
  launch.containers[0].read_only_root = true;
  launch.volumes = {Volume{.name = "s"}};
  launch.containers[0].mount_points = {{"s", "/scratch"}};
  EXPECT_THAT(run(launch), AllOf(HasSubstr("Read-only file system"), HasSubstr("stdout refused"), HasSubstr("stdout volume")));
}

TEST_F(RuntimeTest, CapabilitiesAreDockersFourteenAndSeccompFilters) {
  const std::string text =
      run(shell_task("caps",
                     "grep -E 'Cap|Seccomp:|NoNewPrivs' /proc/self/status; unshare -U true || echo no user namespace; "
                     "mount -t tmpfs x /mnt || echo no mount; cat /proc/kcore | head -c1 | wc -c; echo 1 > "
                     "/proc/sys/vm/drop_caches || echo no sysctl"));
  EXPECT_THAT(text, HasSubstr("CapBnd:\t00000000a80425fb"));
  EXPECT_THAT(text, HasSubstr("CapEff:\t00000000a80425fb"));
  EXPECT_THAT(text, HasSubstr("CapInh:\t0000000000000000"));
  EXPECT_THAT(text, HasSubstr("Seccomp:\t2"));
  EXPECT_THAT(text, AllOf(HasSubstr("no user namespace"), HasSubstr("no mount"), HasSubstr("no sysctl")));
}

TEST_F(RuntimeTest, AUserOtherThanRootHasNoCapabilities) {
  TaskLaunch launch = shell_task("user", "id -u; id -g; grep CapEff /proc/self/status");
  launch.containers[0].user = "nobody:1234";
  EXPECT_THAT(run(launch), AllOf(HasSubstr("stdout 65534\nstdout 1234\n"), HasSubstr("CapEff:\t0000000000000000")));
}

TEST_F(RuntimeTest, PrivilegedContainersAndDangerousCapabilitiesAreRefused) {
  TaskLaunch launch = shell_task("priv", "true");
  launch.containers[0].privileged = true;
  runtime_->launch(launch);
  EXPECT_THAT(reports_.wait_for(launch.id, "failed"),
              HasSubstr("CannotCreateContainerError: Berth runs no privileged containers"));
  launch = shell_task("admin", "true");
  launch.containers[0].add_capabilities = {"SYS_ADMIN"};
  runtime_->launch(launch);
  EXPECT_THAT(reports_.wait_for(launch.id, "failed"), HasSubstr("SYS_ADMIN"));
}

TEST_F(RuntimeTest, ATaskSeesOnlyItsOwnProcesses) {
  EXPECT_THAT(run(shell_task("alone", "echo $$; ls -d /proc/[0-9]* | wc -l; hostname")), HasSubstr("stdout 1\n"));
}

TEST_F(RuntimeTest, AContainerOverItsMemoryLimitIsKilledAndSaysWhy) {
  TaskLaunch launch = shell_task("greedy", "exec dd if=/dev/zero of=/dev/null bs=500M count=1");
  launch.containers[0].memory_mib = 32;
  runtime_->launch(launch);
  reports_.wait_for(launch.id, "stopped");
  EXPECT_THAT(reports_.of(launch.id), Contains("exited app 137 OutOfMemoryError: Container killed due to memory usage"));
}

TEST_F(RuntimeTest, ATasksLimitHoldsForAContainerWithoutOne) {
  TaskLaunch launch = shell_task("greedy-task", "exec dd if=/dev/zero of=/dev/null bs=500M count=1");
  launch.memory_mib = 32;
  runtime_->launch(launch);
  reports_.wait_for(launch.id, "stopped");
  EXPECT_THAT(reports_.of(launch.id), Contains("exited app 137 OutOfMemoryError: Container killed due to memory usage"));
}

TEST_F(RuntimeTest, LimitsAreInTheCgroups) {
  TaskLaunch launch = shell_task("limits", "sleep 1000");
  launch.cpu = 512;
  launch.memory_mib = 256;
  launch.containers[0].cpu = 128;
  launch.containers[0].memory_mib = 64;
  runtime_->launch(launch);
  reports_.wait_for(launch.id, "running");
  if (cgroup_file("cpu", launch.id, "cpu.max") != "unreadable") {
    EXPECT_EQ(cgroup_file("cpu", launch.id, "cpu.max"), "50000 100000");
    EXPECT_EQ(cgroup_file("memory", launch.id, "memory.max"), "268435456");
    EXPECT_EQ(cgroup_file("memory", launch.id, "app/memory.max"), "67108864");
  } else {
    EXPECT_EQ(cgroup_file("cpu", launch.id, "cpu.cfs_quota_us"), "50000");
    EXPECT_EQ(cgroup_file("cpu", launch.id, "app/cpu.shares"), "128");
    EXPECT_EQ(cgroup_file("memory", launch.id, "memory.limit_in_bytes"), "268435456");
    EXPECT_EQ(cgroup_file("memory", launch.id, "app/memory.limit_in_bytes"), "67108864");
  }
  runtime_->stop(launch.id);
  reports_.wait_for(launch.id, "stopped");
}

// MKNOD is one of Docker's capabilities: it is the device cgroup that keeps the host's disks closed.
TEST_F(RuntimeTest, ADeviceNodeOfTheHostsDiskCanNotBeOpened) {
  struct stat root{};
  ASSERT_EQ(::stat("/", &root), 0);
  const std::string numbers = std::to_string(major(root.st_dev)) + " " + std::to_string(minor(root.st_dev));
  EXPECT_THAT(run(shell_task(
                  "disk", "mknod /disk b " + numbers +
                              " && echo made; head -c1 /disk | wc -c; mknod /null c 1 3 && echo x > /null && echo null works")),
              AllOf(HasSubstr("stdout made"), HasSubstr("Operation not permitted"), HasSubstr("stdout 0"),
                    HasSubstr("stdout null works")));
}

TEST_F(RuntimeTest, AForkBombStaysInItsTask) {
  const std::string text = run(shell_task("bomb", "cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null"));
  EXPECT_THAT(text, HasSubstr("stdout 4096"));
}

TEST_F(RuntimeTest, VolumesOfTheShareAreMountedAndTakenAway) {
  TaskLaunch launch = shell_task(
      "volumes",
      "echo data > /data/file && cat /data/file; grep -c ' /data ' /proc/self/mountinfo; touch /ro/x || echo read-only");
  fuse::MountSpec spec;
  spec.id = fuse::MountId("volumes/data");
  launch.volumes = {Volume{.name = "data", .kind = Volume::Kind::efs, .share = spec}};
  launch.containers[0].mount_points = {{"data", "/data"}, {"data", "/ro", true}};
  EXPECT_THAT(run(launch), AllOf(HasSubstr("stdout data\nstdout 1\n"), HasSubstr("stdout read-only")));
  EXPECT_THAT(share_.detached(), Contains("volumes/data"));
}

TEST_F(RuntimeTest, AMountOfTheShareIsInTheContainerAndInNoOtherNamespace) {
  const auto own_mounts = [] { return read_file("/proc/self/mountinfo").value_or(""); };
  TaskLaunch launch =
      shell_task("within",
                 "pwd; echo kept > /data/deep/file; cat /data/deep/file; echo x > /read-only/no || echo refused;"
                 "grep -oE '/(data|read-only) r[wo],[a-z]*' /proc/self/mountinfo; until test -e /gate/go; do sleep 0.02; done");
  launch.containers[0].working_directory = "/data";
  launch.containers[0].read_only_root = true;
  launch.containers[0].mount_points = {
      {"data", "/data"}, {"data", "/read-only", true}, {"scratch", "/data/deep"}, {"gate", "/gate"}};
  fuse::MountSpec spec;
  spec.id = fuse::MountId("within/data");
  launch.volumes = {Volume{.name = "data", .kind = Volume::Kind::efs, .share = spec}, Volume{.name = "scratch"},
                    Volume{.name = "gate"}};
  runtime_->launch(launch);
  reports_.wait_for(launch.id, "running");
  // Kernels before 6.15 clone no detached mounts; what holds there is the next test's.
  if (clones_detached_mounts()) {
    EXPECT_THAT(own_mounts(), Not(HasSubstr("within/volumes/data")));
  }
  ASSERT_TRUE(write_file(state_ + "/runtime/tasks/within/volumes/gate/go", ""));
  reports_.wait_for(launch.id, "stopped");
  const std::string printed = output(launch.id);
  EXPECT_THAT(printed, HasSubstr("stdout /data\n"));
  EXPECT_THAT(printed, HasSubstr("stdout kept"));
  EXPECT_THAT(printed, HasSubstr("stdout refused"));
  EXPECT_THAT(printed, HasSubstr("/data rw,nodev"));
  EXPECT_THAT(printed, HasSubstr("/read-only ro,nodev"));
}

TEST_F(RuntimeTest, OnKernelsThatCloneNoDetachedMountsTheShareStandsInTheKeepersNamespace) {
  Paths paths(state_);
  Volumes volumes(paths, share_, {}, false);
  TaskLaunch launch = shell_task("older", "true");
  fuse::MountSpec spec;
  spec.id = fuse::MountId("older/data");
  launch.volumes = {Volume{.name = "data", .kind = Volume::Kind::efs, .share = spec}};
  const auto placed = [&] { return read_file("/proc/self/mountinfo").value_or(""); };
  ASSERT_TRUE(volumes.prepare(launch));
  EXPECT_EQ(volumes.source(launch, launch.volumes[0]), paths.volume(launch.id, "data"));
  EXPECT_THAT(placed(), HasSubstr("older/volumes/data"));
  volumes.remove(launch);
  EXPECT_THAT(placed(), Not(HasSubstr("older/volumes/data")));
}

TEST_F(RuntimeTest, AVolumeThatCanNotBeMountedKeepsTheTaskFromStarting) {
  share_.failure = "access denied";
  TaskLaunch launch = shell_task("denied", "true");
  launch.volumes = {
      Volume{.name = "data", .kind = Volume::Kind::efs, .share = fuse::MountSpec{.id = fuse::MountId("denied/data")}}};
  runtime_->launch(launch);
  EXPECT_EQ(reports_.wait_for(launch.id, "failed"),
            "failed: ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: access denied");
}

TEST_F(RuntimeTest, HostPathsNearTheStateDirectoryAreRefused) {
  int number = 0;
  for (const std::string& path : {state_, state_ + "/runtime", std::string("/"), std::string("/tmp"), std::string("/etc"),
                                  std::string("/etc/cron.d"), std::string("/usr/bin"), std::string("/var")}) {
    TaskLaunch launch = shell_task("bind" + std::to_string(++number), "true");
    launch.volumes = {Volume{.name = "v", .kind = Volume::Kind::host, .host_path = path}};
    runtime_->launch(launch);
    EXPECT_THAT(reports_.wait_for(launch.id, "failed"), HasSubstr("Berth mounts")) << path;
  }
}

}  // namespace
}  // namespace berth::runtime::testing

// The life of a task: order of reports, stopping, dependencies, health.
#include <gmock/gmock.h>

#include <unistd.h>

#include <algorithm>
#include <thread>

#include "broker/runtime/files.hpp"
#include "broker/runtime/mounts.hpp"
#include "tests/kernel_runtime/runtime_fixture.hpp"

namespace berth::runtime::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

Container shell_container(const std::string& name, const std::string& script, bool essential = true) {
  Container container;
  container.name = name;
  container.image = "host";
  container.essential = essential;
  container.command = {"/bin/sh", "-c", script};
  container.stop_timeout = std::chrono::seconds(1);
  return container;
}

TEST_F(RuntimeTest, AHostImagePrintsAndExitsAndItsReportsComeInOrder) {
  const std::string text = run(shell_task("t1", "echo hello; echo oops >&2; exit 3"));
  EXPECT_THAT(text, HasSubstr("stdout hello\n"));
  EXPECT_THAT(text, HasSubstr("stderr oops\n"));
  EXPECT_THAT(reports_.of(TaskId("t1")),
              ElementsAre("pull started", "pull stopped", "started app", "running", "exited app 3", "stopped"));
}

TEST_F(RuntimeTest, NothingIsLeftOfATaskThatEnded) {
  const std::string before = read_file("/proc/self/mountinfo").value();
  run(networked_task("gone", "exit 0", 1, 10));
  EXPECT_EQ(read_file("/proc/self/mountinfo").value(), before);
  EXPECT_NE(::access((state_ + "/runtime/tasks/gone").c_str(), F_OK), 0);
  EXPECT_NE(::access((state_ + "/runtime/netns/gone").c_str(), F_OK), 0);
  EXPECT_EQ(cgroup_file("memory", TaskId("gone"), "cgroup.procs"), "unreadable");
  EXPECT_THAT(survival_.regions(), IsEmpty());
}

TEST_F(RuntimeTest, AProgramThatHandlesSigtermEndsWithItsOwnCode) {
  const TaskId id("polite");
  runtime_->launch(shell_task("polite", "trap 'exit 143' TERM; echo ready; while :; do read x < /dev/zero & wait; done"));
  reports_.wait_for(id, "running");
  // The trap is set once it has said so.
  while (output(id).empty()) std::this_thread::yield();
  runtime_->stop(id);
  reports_.wait_for(id, "stopped");
  EXPECT_THAT(reports_.of(id), Contains("exited app 143"));
}

TEST_F(RuntimeTest, AProgramThatIgnoresSigtermIsKilledAfterItsStopTimeout) {
  const TaskId id("stubborn");
  runtime_->launch(shell_task("stubborn", "trap '' TERM; echo ready; sleep 1000"));
  reports_.wait_for(id, "running");
  while (output(id).empty()) std::this_thread::yield();
  runtime_->stop(id);
  reports_.wait_for(id, "stopped");
  EXPECT_THAT(reports_.of(id), Contains("exited app 137"));
}

TEST_F(RuntimeTest, AnEssentialContainerThatExitsTakesTheOthersAlong) {
  TaskLaunch launch = shell_task("pair", "while [ ! -e /shared/ready ]; do sleep 0.01; done; exit 1");
  launch.containers.push_back(shell_container("side", "touch /shared/ready; sleep 1000"));
  launch.volumes = {Volume{.name = "shared"}};
  for (Container& container : launch.containers) container.mount_points = {{"shared", "/shared"}};
  runtime_->launch(launch);
  reports_.wait_for(launch.id, "stopped");
  EXPECT_THAT(reports_.of(launch.id), AllOf(Contains("exited app 1"), Contains("exited side 137")));
}

TEST_F(RuntimeTest, AContainerThatIsNotEssentialMayEnd) {
  TaskLaunch launch = shell_task("helper", "sleep 1000");
  launch.containers.push_back(shell_container("side", "exit 0", false));
  runtime_->launch(launch);
  reports_.wait_for(launch.id, "exited side 0");
  EXPECT_THAT(reports_.of(launch.id), Not(Contains("exited app 137")));
  runtime_->stop(launch.id);
  reports_.wait_for(launch.id, "stopped");
}

TEST_F(RuntimeTest, DependenciesDecideTheOrder) {
  TaskLaunch launch = shell_task("ordered", "echo main");
  launch.containers[0].depends_on = {{"setup", "SUCCESS"}};
  launch.containers.push_back(shell_container("setup", "echo first", false));
  run(launch);
  EXPECT_THAT(reports_.of(launch.id), ElementsAre("pull started", "pull stopped", "started setup", "exited setup 0",
                                                  "started app", "running", "exited app 0", "stopped"));
}

TEST_F(RuntimeTest, ADependencyThatFailsKeepsTheTaskFromStarting) {
  TaskLaunch launch = shell_task("unordered", "echo main");
  launch.containers[0].depends_on = {{"setup", "SUCCESS"}};
  launch.containers.push_back(shell_container("setup", "exit 7", false));
  runtime_->launch(launch);
  EXPECT_THAT(reports_.wait_for(launch.id, "failed"), HasSubstr("waits for `setup` to succeed"));
  EXPECT_EQ(output(launch.id), "");
}

TEST_F(RuntimeTest, AHealthyDependencyLetsTheOtherStart) {
  TaskLaunch launch = shell_task("healthy", "echo main");
  launch.containers[0].depends_on = {{"db", "HEALTHY"}};
  launch.containers.push_back(shell_container("db", "sleep 1000", false));
  launch.containers[1].health_check =
      Container::HealthCheck{.command = {"CMD-SHELL", "exit 0"}, .interval = std::chrono::seconds(0)};
  runtime_->launch(launch);
  reports_.wait_for(launch.id, "stopped");
  EXPECT_THAT(reports_.of(launch.id),
              ::testing::IsSupersetOf({"started db", "health db HEALTHY", "started app", "exited app 0"}));
}

TEST_F(RuntimeTest, ChecksThatFailMakeAContainerUnhealthy) {
  TaskLaunch launch = shell_task("sick", "sleep 1000");
  launch.containers[0].health_check =
      Container::HealthCheck{.command = {"CMD", "/bin/false"}, .interval = std::chrono::seconds(0), .retries = 2};
  runtime_->launch(launch);
  reports_.wait_for(launch.id, "health app UNHEALTHY");
  runtime_->stop(launch.id);
  reports_.wait_for(launch.id, "stopped");
}

TEST_F(RuntimeTest, ACheckThatIsCutOffHoldsUpNoEnd) {
  TaskLaunch launch = shell_task("slow-check", "sleep 1000");
  launch.containers[0].health_check = Container::HealthCheck{.command = {"CMD", "/bin/sleep", "1000"},
                                                             .interval = std::chrono::seconds(0),
                                                             .timeout = std::chrono::seconds(1),
                                                             .retries = 1};
  runtime_->launch(launch);
  reports_.wait_for(launch.id, "health app UNHEALTHY");
  runtime_->stop(launch.id);
  reports_.wait_for(launch.id, "stopped");
}

TEST_F(RuntimeTest, AnUnknownProgramIsACannotStartContainerError) {
  TaskLaunch launch = shell_task("missing", "");
  launch.containers[0].command = {"no-such-program"};
  runtime_->launch(launch);
  EXPECT_THAT(reports_.wait_for(launch.id, "failed"),
              AllOf(HasSubstr("CannotStartContainerError"), HasSubstr("no-such-program")));
  EXPECT_NE(::access((state_ + "/runtime/tasks/missing").c_str(), F_OK), 0);
}

TEST_F(RuntimeTest, AnUnknownImageSaysWhatBerthAccepts) {
  TaskLaunch launch = shell_task("pull", "");
  launch.containers[0].image = "nginx:latest";
  runtime_->launch(launch);
  EXPECT_THAT(reports_.wait_for(launch.id, "failed"),
              AllOf(HasSubstr("CannotPullContainerError: `nginx:latest`"), HasSubstr("OCI image layout")));
}

TEST_F(RuntimeTest, NamesThatAreNoNamesAreRefused) {
  TaskLaunch launch = shell_task("names", "");
  launch.containers[0].name = "../../etc";
  runtime_->launch(launch);
  EXPECT_THAT(reports_.wait_for(launch.id, "failed"), HasSubstr("container name"));
}

TEST_F(RuntimeTest, ALongOutputIsKeptWhole) {
  const std::string text = run(shell_task("loud", "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done"));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 20000);
  EXPECT_THAT(text, HasSubstr("stdout line 19999\n"));
}

}  // namespace
}  // namespace berth::runtime::testing

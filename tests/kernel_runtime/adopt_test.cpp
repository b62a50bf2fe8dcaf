// A daemon that starts again: tasks go on, what ended in between is reported, leftovers are taken away.
#include <gmock/gmock.h>
#include <unistd.h>

#include <thread>

#include "broker/runtime/files.hpp"
#include "tests/kernel_runtime/runtime_fixture.hpp"

namespace berth::runtime::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class AdoptTest : public RuntimeTest {
 protected:
  // Descriptors and memory live on, as with a keeper.
  void restart() {
    runtime_.reset();
    exits_.reset();
    listeners_.clear();
    reports_.clear();
    start_runtime();
  }
  // What a container writes here, the test reads without the runtime.
  TaskLaunch task_with_gate(const std::string& id, const std::string& script) {
    TaskLaunch launch = networked_task(id, script, 1, 60);
    launch.volumes = {Volume{.name = "gate"}};
    launch.containers[0].mount_points = {{"gate", "/gate"}};
    return launch;
  }
  std::string gate(const std::string& id) const { return state_ + "/runtime/tasks/" + id + "/volumes/gate"; }
};

TEST_F(AdoptTest, ARunningTaskGoesOnAndItsOutputIsNotLost) {
  const TaskId id("survivor");
  runtime_->launch(
      task_with_gate("survivor", "echo before; printf un; while [ ! -e /gate/go ]; do sleep 0.01; done; echo finished; exit 5"));
  reports_.wait_for(id, "running");
  const int pid = reports_.pid_of(id, "app");
  restart();
  runtime_->adopt({id});
  reports_.wait_for(id, "running");
  EXPECT_EQ(reports_.pid_of(id, "app"), pid);
  EXPECT_THAT(listeners_, ::testing::SizeIs(2));
  ASSERT_TRUE(write_file(gate("survivor") + "/go", ""));
  reports_.wait_for(id, "stopped");
  EXPECT_THAT(reports_.of(id), ElementsAre("pull started", "pull stopped", "started app", "running", "exited app 5", "stopped"));
  EXPECT_EQ(output(id), "stdout before\nstdout unfinished\n");
}

TEST_F(AdoptTest, AnExitWhileNoDaemonRanIsReported) {
  const TaskId id("ended");
  runtime_->launch(task_with_gate("ended", "while [ ! -e /gate/go ]; do sleep 0.01; done; echo last words; exit 6"));
  reports_.wait_for(id, "running");
  const int pid = reports_.pid_of(id, "app");
  runtime_.reset();
  ASSERT_TRUE(write_file(gate("ended") + "/go", ""));
  const std::string status = "/proc/" + std::to_string(pid) + "/stat";
  while (read_file(status).value_or("Z").find(") Z") == std::string::npos && ::access(status.c_str(), F_OK) == 0)
    std::this_thread::yield();
  restart();
  runtime_->adopt({id});
  reports_.wait_for(id, "stopped");
  EXPECT_THAT(reports_.of(id), Contains(HasSubstr("exited app")));
  EXPECT_THAT(output(id), HasSubstr("stdout last words"));
}

TEST_F(AdoptTest, ATaskThatIsStoppedAfterARestartEnds) {
  const TaskId id("later");
  runtime_->launch(networked_task("later", "trap 'exit 9' TERM; echo ready; while :; do sleep 0.01; done", 1, 61));
  reports_.wait_for(id, "running");
  while (output(id).empty()) std::this_thread::yield();
  restart();
  runtime_->adopt({id});
  runtime_->stop(id);
  reports_.wait_for(id, "stopped");
  EXPECT_THAT(reports_.of(id), Contains("exited app 9"));
}

TEST_F(AdoptTest, ATaskThatNobodyExpectsIsEndedSilently) {
  const TaskId id("orphan");
  runtime_->launch(shell_task("orphan", "sleep 1000"));
  reports_.wait_for(id, "running");
  const int pid = reports_.pid_of(id, "app");
  restart();
  runtime_->adopt({});
  const std::string directory = state_ + "/runtime/tasks/orphan";
  while (::access(directory.c_str(), F_OK) == 0) std::this_thread::yield();
  EXPECT_NE(::access(("/proc/" + std::to_string(pid) + "/root").c_str(), F_OK), 0);
  EXPECT_THAT(reports_.of(id), IsEmpty());
}

TEST_F(AdoptTest, ATaskWhoseKeeperDiedIsReportedStoppedWithAReason) {
  const TaskId id("lost");
  runtime_->launch(networked_task("lost", "sleep 1000", 1, 62));
  reports_.wait_for(id, "running");
  runtime_.reset();
  for (const std::string& name : survival_.regions()) survival_.remove_region(name);
  restart();
  runtime_->adopt({id});
  EXPECT_EQ(reports_.wait_for(id, "stopped"), "stopped: Berth was stopped while the task was running");
  EXPECT_EQ(cgroup_file("memory", id, "cgroup.procs"), "unreadable");
}

TEST_F(AdoptTest, AnExpectedTaskThatLeftNothingIsReportedStopped) {
  runtime_->adopt({TaskId("unknown")});
  EXPECT_THAT(reports_.wait_for(TaskId("unknown"), "stopped"), HasSubstr("while the task was starting"));
}

}  // namespace
}  // namespace berth::runtime::testing

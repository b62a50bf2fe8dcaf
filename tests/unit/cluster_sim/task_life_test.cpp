#include "tests/unit/cluster_sim/cloud.hpp"

#include <algorithm>

namespace berth::cluster_sim {
namespace {

using std::chrono::seconds;

class TaskLife : public Cloud {
 protected:
  TaskLife() {
    instance = add_instance("m5.large", subnet_a);
    RunTask wanted = awsvpc_request({subnet_a});
    wanted.requirements.containers = {"app", "log"};
    wanted.requirements.essential = {true, false};
    id = run(wanted).tasks.at(0);
    cluster.take_effects();
  }
  void report(const TaskEvent& event) {
    now += seconds(1);
    cluster.task_event(now, id, event);
  }
  void start() {
    report(PullStarted{});
    report(PullStopped{});
    report(ContainerStarted{"app", "r1"});
    report(ContainerStarted{"log", "r2"});
    report(TaskRunning{});
  }
  TaskStatus status() const { return task(id).last; }
  int stops_wanted() {
    const auto effects = cluster.take_effects();
    return static_cast<int>(std::ranges::count_if(effects, [](const Effect& e) { return std::holds_alternative<StopTask>(e); }));
  }

  ContainerInstanceId instance;
  TaskId id;
};

TEST_F(TaskLife, GoesThroughTheStatesWithTheirTimes) {
  EXPECT_EQ(status(), TaskStatus::provisioning);
  report(PullStarted{});
  EXPECT_EQ(status(), TaskStatus::pending);
  const TimePoint pull = now;
  report(PullStopped{});
  EXPECT_EQ(status(), TaskStatus::activating);
  report(ContainerStarted{"app", "r1"});
  report(TaskRunning{});
  EXPECT_EQ(status(), TaskStatus::running);
  const TimePoint started = now;
  ASSERT_TRUE(cluster.stop_task(now, id, "UserInitiated", "Task stopped by user"));
  EXPECT_EQ(status(), TaskStatus::stopping);
  report(ContainerExited{"app", 143, ""});
  report(ContainerExited{"log", 143, ""});
  EXPECT_EQ(status(), TaskStatus::deprovisioning);
  EXPECT_TRUE(cluster.interfaces().contains(*task(id).interface)) << "the interface goes with the last step";
  EXPECT_EQ(cluster.remaining(instance).cpu, 2048 - 256);
  report(TaskGone{});
  const Task& t = task(id);
  EXPECT_EQ(t.last, TaskStatus::stopped);
  EXPECT_EQ(t.pull_started, pull);
  EXPECT_EQ(t.connectivity_at, pull);
  EXPECT_EQ(t.started, started);
  EXPECT_EQ(t.stopping, started);
  EXPECT_EQ(t.execution_stopped, started + seconds(2));
  EXPECT_EQ(t.stopped, started + seconds(3));
  EXPECT_EQ(t.stop_code, "UserInitiated");
  EXPECT_EQ(cluster.remaining(instance).cpu, 2048);
  EXPECT_FALSE(cluster.interfaces().contains(*t.interface));
  EXPECT_EQ(t.containers[0].exit_code, 143);
}

TEST_F(TaskLife, AProgramThatEndsBeforeItsStartIsNotedLeavesItsStampsInOrder) {
  start();
  const TimePoint started = now;
  const TimePoint ended = started - std::chrono::milliseconds(1);
  cluster.task_event(ended, id, ContainerExited{"log", 0, ""});
  cluster.task_event(ended, id, ContainerExited{"app", 0, ""});
  EXPECT_EQ(task(id).stopping, started);
  EXPECT_EQ(task(id).execution_stopped, started);
  report(TaskGone{});
  EXPECT_EQ(task(id).stopped, started + seconds(1));
}

TEST_F(TaskLife, AnEssentialContainersExitStopsTheTask) {
  start();
  report(ContainerExited{"log", 0, ""});
  EXPECT_EQ(status(), TaskStatus::running) << "a container that isn't essential may end";
  report(ContainerExited{"app", 1, "oops"});
  EXPECT_EQ(task(id).stop_code, "EssentialContainerExited");
  EXPECT_EQ(task(id).stopped_reason, "Essential container in task exited");
  EXPECT_EQ(task(id).containers[0].exit_code, 1);
  EXPECT_EQ(stops_wanted(), 1);
}

TEST_F(TaskLife, AFailureToStartKeepsItsReason) {
  report(PullStarted{});
  report(TaskFailedToStart{"CannotPullContainerError: no such image", "app"});
  EXPECT_EQ(status(), TaskStatus::stopped);
  EXPECT_EQ(task(id).stop_code, "TaskFailedToStart");
  EXPECT_EQ(task(id).stopped_reason, "CannotPullContainerError: no such image");
  EXPECT_FALSE(task(id).started);
  EXPECT_EQ(cluster.remaining(instance).interfaces, 2);
}

TEST_F(TaskLife, TheFirstReasonToStopStays) {
  start();
  ASSERT_TRUE(cluster.stop_task(now, id, "UserInitiated", "mine"));
  ASSERT_TRUE(cluster.stop_task(now, id, "UserInitiated", "another"));
  report(ContainerExited{"app", 137, ""});
  EXPECT_EQ(task(id).stopped_reason, "mine");
  EXPECT_EQ(task(id).stop_code, "UserInitiated");
  EXPECT_EQ(stops_wanted(), 1);
}

TEST_F(TaskLife, LateAndRepeatedReportsMoveNothingBack) {
  start();
  ASSERT_TRUE(cluster.stop_task(now, id, "UserInitiated", ""));
  const unsigned version = task(id).version;
  report(PullStarted{});
  report(TaskRunning{});
  EXPECT_EQ(status(), TaskStatus::stopping);
  EXPECT_GT(task(id).version, version);
  report(TaskGone{});
  const Task before = task(id);
  report(TaskRunning{});
  report(ContainerExited{"app", 5, ""});
  EXPECT_EQ(task(id).version, before.version) << "STOPPED is final";
  EXPECT_EQ(task(id).last, TaskStatus::stopped);
}

TEST_F(TaskLife, HealthIsThatOfTheEssentialContainers) {
  start();
  report(HealthChanged{"log", "UNHEALTHY"});
  EXPECT_EQ(task(id).health, "UNKNOWN");
  report(HealthChanged{"app", "HEALTHY"});
  EXPECT_EQ(task(id).health, "HEALTHY");
  report(HealthChanged{"app", "UNHEALTHY"});
  EXPECT_EQ(task(id).health, "UNHEALTHY");
}

TEST_F(TaskLife, TheEndOfItsHostStopsIt) {
  start();
  const InstanceId host = cluster.container_instances().at(instance).ec2_instance;
  ASSERT_TRUE(cluster.terminate_instance(now, random, host));
  EXPECT_EQ(task(id).stop_code, "TerminationNotice");
  EXPECT_EQ(task(id).stopped_reason, "Host EC2 (instance " + host.str() + ") terminated.");
  EXPECT_EQ(cluster.container_instances().at(instance).status, "INACTIVE");
  report(TaskGone{});
  cluster.instance_terminated(now, random, host);
  EXPECT_EQ(cluster.instances().at(host).state, "terminated");
  EXPECT_TRUE(cluster.interfaces().empty());
}

TEST_F(TaskLife, AnInstanceWhoseAgentWasAwayStaysRegistered) {
  cluster.set_agent_connected(instance, false);
  ASSERT_TRUE(cluster.terminate_instance(now, random, cluster.container_instances().at(instance).ec2_instance));
  EXPECT_EQ(cluster.container_instances().at(instance).status, "ACTIVE");
  EXPECT_EQ(task(id).stop_code, "TerminationNotice");
}

TEST_F(TaskLife, DeregistrationNeedsForceWhileTasksRun) {
  start();
  EXPECT_EQ(cluster.deregister_container_instance(now, instance, false).error().code, Code::failed_precondition);
  EXPECT_TRUE(cluster.deregister_container_instance(now, instance, true));
  EXPECT_EQ(task(id).stopped_reason, "Container instance deregistration forced by user");
}

TEST_F(TaskLife, StoppedTasksAreForgottenAfterTheRetention) {
  report(TaskFailedToStart{"x", ""});
  cluster.expire(now + seconds(3599));
  EXPECT_TRUE(cluster.tasks().contains(id));
  cluster.take_changes();
  cluster.expire(now + seconds(3600));
  EXPECT_FALSE(cluster.tasks().contains(id));
  EXPECT_EQ(cluster.take_changes(), (std::vector<Change>{{"task", id.str()}}));
}

TEST_F(TaskLife, AClusterInUseIsNotDeleted) {
  EXPECT_EQ(cluster.delete_cluster(ecs).error().message,
            "The Cluster cannot be deleted while Container Instances are active or draining.");
  ASSERT_TRUE(cluster.deregister_container_instance(now, instance, true));
  EXPECT_EQ(cluster.delete_cluster(ecs).error().message, "The Cluster cannot be deleted while Tasks are active.");
  report(TaskGone{});
  EXPECT_TRUE(cluster.delete_cluster(ecs));
  EXPECT_EQ(cluster.clusters().at(ecs).status, "INACTIVE");
}

TEST_F(TaskLife, TheQueryFiltersContainerInstances) {
  const ContainerInstanceId other = add_instance("t2.medium", subnet_b);
  EXPECT_EQ(cluster.filter_container_instances(ecs, "attribute:ecs.instance-type == t2.medium").value(), std::vector{other});
  EXPECT_EQ(cluster.filter_container_instances(ecs, "task:group == family:web").value(), std::vector{instance});
  EXPECT_EQ(cluster.filter_container_instances(ecs, "").value().size(), 2u);
  EXPECT_FALSE(cluster.filter_container_instances(ecs, "what"));
}

TEST_F(TaskLife, ARunningTaskThatIsLostWithItsHostSaysSo) {
  start();
  report(TaskFailedToStart{"Berth was stopped while the task was running", ""});
  EXPECT_EQ(status(), TaskStatus::stopped);
  EXPECT_EQ(task(id).stop_code, "TerminationNotice");
  EXPECT_EQ(task(id).stopped_reason, "Berth was stopped while the task was running");
}

}  // namespace
}  // namespace berth::cluster_sim

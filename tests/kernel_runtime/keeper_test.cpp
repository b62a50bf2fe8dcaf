// The runtime below the real keeper: the daemon dies of SIGKILL while its task prints; the next one goes on.
#include <gmock/gmock.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sstream>
#include <thread>

#include "broker/base/log.hpp"
#include "broker/keeper/keeper.hpp"
#include "broker/runtime/files.hpp"
#include "tests/kernel_runtime/runtime_fixture.hpp"

namespace berth::runtime::testing {
namespace {

const TaskId kTask("crash-0123456789");

// Lines `tick 1`, `tick 2`, ... without a gap; how many. -1: a gap or something else.
int ticks(const std::string& log) {
  std::istringstream lines(log);
  int count = 0;
  for (std::string line; std::getline(lines, line);) {
    if (lines.eof()) break;  // read while it was being written
    if (!line.ends_with("stdout tick " + std::to_string(count + 1))) return -1;
    ++count;
  }
  return count;
}

TaskLaunch ticking_task() {
  Container container;
  container.name = "app";
  container.image = "host";
  container.command = {"/bin/sh", "-c",
                       "i=0; while [ ! -e /gate/go ]; do i=$((i+1)); printf 'tick '; echo $i; sleep 0.002; done; exit 5"};
  container.mount_points = {{"gate", "/gate"}};
  TaskLaunch launch;
  launch.id = kTask;
  launch.volumes = {Volume{.name = "gate"}};
  launch.containers = {container};
  launch.interface = NetworkInterface{"eni-1", "02:00:00:00:03:01", "10.0.3.10", 24, "10.0.3.1"};
  return launch;
}

// 0 when all is as it should be; else which expectation failed.
int daemon_main(const std::string& state, Survival& survival, ChildExits& exits) {
  FakeShare share;
  Reports reports;
  exits.start();
  Runtime::Handlers handlers;
  handlers.report = [&](const Report& report) { reports.add(report); };
  handlers.listener_opened = [](const TaskListener&) {};
  handlers.listeners_closing = [](const TaskId&) {};
  auto runtime = Runtime::start({.state_directory = state, .run_name = "berth-keeper-test", .hidden_paths = {}}, share, survival,
                                exits, handlers);
  if (!runtime) return 10;
  const std::string path = (*runtime)->log_path(kTask, "app");
  const auto log = [&] { return read_file(path, std::size_t{64} << 20).value_or(""); };
  if (survival.restarts() == 0) {
    (*runtime)->launch(ticking_task());
    reports.wait_for(kTask, "running");
  } else {
    (*runtime)->adopt({kTask});
    reports.wait_for(kTask, "running");
  }
  const int seen = ticks(log());
  if (seen < 0) return 11;
  while (ticks(log()) >= 0 && ticks(log()) < seen + 20) std::this_thread::yield();
  if (survival.restarts() < 3) ::kill(::getpid(), SIGKILL);
  if (!write_file(state + "/runtime/tasks/" + kTask.str() + "/volumes/gate/go", "")) return 12;
  reports.wait_for(kTask, "stopped");
  if (reports.of(kTask) !=
      std::vector<std::string>{"pull started", "pull stopped", "started app", "running", "exited app 5", "stopped"})
    return 13;
  return ticks(log()) >= 80 ? 0 : 14;
}

TEST(RuntimeBelowTheKeeper, ATaskOutlivesADaemonThatIsKilledAndLosesNoLine) {
  if (::geteuid() != 0) {
    if (std::getenv("BERTH_NO_SKIP") != nullptr) FAIL() << "needs root";
    GTEST_SKIP() << "needs root";
  }
  char name[] = "/tmp/berth-keeper-XXXXXX";
  ASSERT_NE(::mkdtemp(name), nullptr);
  const std::string state = name;
  const pid_t keeper = ::fork();
  if (keeper == 0) {
    keeper::KeeperOptions options;
    options.lock_path = state + "/lock";
    log::set_level(std::getenv("BERTH_TEST_LOG") != nullptr ? log::Level::info : log::Level::error);
    const auto code =
        keeper::run(options, [&](Survival& survival, ChildExits& exits) { return daemon_main(state, survival, exits); });
    ::_exit(code ? *code : 99);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(keeper, &status, 0), keeper);
  ASSERT_TRUE(WIFEXITED(status)) << status;
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_TRUE(remove_tree(state));
}

}  // namespace
}  // namespace berth::runtime::testing

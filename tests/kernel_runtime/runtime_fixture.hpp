// A real runtime for tests: in a mount namespace of the test program's own, with a share that is a tmpfs and with this process as
// the reaper of the containers. Tests wait for reports, never for time.
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "broker/base/child_exits.hpp"
#include "broker/runtime/runtime.hpp"

namespace berth::runtime::testing {

// Each mount is a fresh tmpfs, or fails where `failure` says so.
class FakeShare final : public fuse::Share {
 public:
  Result<UniqueFd> mount(const fuse::MountSpec& spec) override;
  int held(const fuse::MountId& id) const override;
  Result<std::vector<fuse::MountId>> recover() override { return std::vector<fuse::MountId>(); }
  void detach(const fuse::MountId& id) override;
  Result<> set_rights(const fuse::MountId&, fuse::Rights) override { return {}; }
  void set_network(fuse::zones::Network) override {}
  void set_throughput(const std::string&, std::optional<fuse::zones::Allowance>, double) override {}
  std::vector<FileSystemUse> use(bool) override { return {}; }
  std::vector<fuse::zones::Gates::Throughput> throughput() const override { return {}; }
  std::vector<MountStats> stats() const override { return {}; }

  std::string failure;
  std::vector<std::string> detached() const;

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> detached_;
  std::map<fuse::MountId, UniqueFd> held_;
};

// All reports, in order, as text: "started app", "exited app 3", "running", "stopped", "failed: ...".
class Reports {
 public:
  void add(const Report& report);
  // Blocks until the task's reports hold one that starts with `prefix`; that report.
  std::string wait_for(const TaskId& task, const std::string& prefix);
  std::vector<std::string> of(const TaskId& task) const;
  void clear();
  int pid_of(const TaskId& task, const std::string& container) const;

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<TaskId, std::vector<std::string>> texts_;
  std::map<std::string, int> pids_;
};

class RuntimeTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;
  void start_runtime();

  // One container of the host's programs that runs `script`.
  static TaskLaunch shell_task(const std::string& id, const std::string& script);
  // The same with an interface in 10.0.<subnet>.0/24.
  static TaskLaunch networked_task(const std::string& id, const std::string& script, unsigned subnet, unsigned host);
  // Launches it and waits for its end; what it printed, without time stamps ("stdout text").
  std::string run(TaskLaunch launch);
  std::string output(const TaskId& task, const std::string& container = "app") const;
  std::string cgroup_file(const std::string& controller, const TaskId& task, const std::string& file) const;

  std::string state_;
  std::string run_name_;
  FakeShare share_;
  VolatileSurvival survival_;
  std::unique_ptr<ChildExits> exits_;
  Reports reports_;
  std::mutex listeners_mutex_;
  std::map<std::string, int> listeners_;  // "<task> metadata"
  std::unique_ptr<Runtime> runtime_;
};

}  // namespace berth::runtime::testing

// LinuxRuntime: the Runtime. Owns the parts and the tasks; what a task does is in Task.
//
// Threads: a pool for starts and stops, one for health checks, one thread for output. Locks: `mutex_` guards the map of tasks
// and is never held while something blocks or a handler runs.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "broker/runtime/machine.hpp"
#include "broker/runtime/task.hpp"

namespace berth::runtime {

class LinuxRuntime final : public Runtime {
 public:
  LinuxRuntime(const Options& options, Survival& survival, ChildExits& exits, Handlers handlers);
  ~LinuxRuntime() override;

  Result<> open(const Options& options, fuse::Share& share);

  Result<> add_subnet(const std::string& gateway, unsigned prefix_length) override;
  void launch(TaskLaunch launch) override;
  void stop(const TaskId& task) override;
  void adopt(const std::vector<TaskId>& expected) override;
  std::string log_path(const TaskId& task, const std::string& container) const override { return paths_.log(task, container); }
  std::string oci_runtime() const override { return oci_version_; }

 private:
  Result<> find_program();
  Machine machine();
  std::shared_ptr<Task> add(TaskLaunch launch);
  void adopt_one(const TaskId& id, bool known);
  void forget(const TaskId& id);

  const Paths paths_;
  const Handlers handlers_;
  Survival& survival_;
  ChildExits& exits_;
  SystemClock clock_;
  std::unique_ptr<Cgroups> cgroups_;
  std::unique_ptr<Network> network_;
  std::unique_ptr<RootFileSystems> roots_;
  std::unique_ptr<Volumes> volumes_;
  std::unique_ptr<LogPump> logs_;
  OciRuntime oci_;
  std::string oci_version_;
  std::shared_ptr<WorkPool> pool_, checks_;
  mutable std::mutex mutex_;
  std::map<TaskId, std::shared_ptr<Task>> tasks_;
};

}  // namespace berth::runtime

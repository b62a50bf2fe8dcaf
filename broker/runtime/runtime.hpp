// Runtime: makes tasks real on this Linux machine and reports what becomes of them.
//
// Everything answers at once; work is done on the runtime's own threads, and what happens comes back as Reports, in order for
// one task. Lives inside the keeper's private mount namespace: nothing that it mounts shows on the host.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "broker/base/child_exits.hpp"
#include "broker/base/clock.hpp"
#include "broker/base/error.hpp"
#include "broker/base/survival.hpp"
#include "broker/base/unique_fd.hpp"
#include "broker/runtime/task_launch.hpp"
#include "fuse/share.hpp"

namespace berth::runtime {

// What happened to a task. `at` is when. Reports of adopted tasks are given again from the start, with their old times: the
// daemon before may have died between a report and what it led to.
struct PullStarted {
  TimePoint at;
};
struct PullStopped {
  TimePoint at;
};
struct ContainerStarted {
  TimePoint at;
  std::string container;
  std::string runtime_id;
  int pid = 0;
};
struct ContainerExited {
  TimePoint at;
  std::string container;
  int exit_code = 0;   // 128 + signal where a signal ended it
  std::string reason;  // "OutOfMemoryError: Container killed due to memory usage"; empty
};
// The first time all containers that must start have started.
struct TaskRunning {
  TimePoint at;
};
// The task could not start; everything that was made for it is gone. `reason` is ECS's text, e.g.
// "ResourceInitializationError: failed to invoke EFS utils commands ...", "CannotPullContainerError: ...".
struct TaskFailedToStart {
  TimePoint at;
  std::string reason;
  std::string container;
};
// Every container has ended and everything that was made for the task is gone. `reason` only where the runtime itself is the
// cause (the task did not survive a restart of Berth); empty else.
struct TaskStopped {
  TimePoint at;
  std::string reason;
};
struct HealthChanged {
  TimePoint at;
  std::string container;
  std::string status;
};  // HEALTHY, UNHEALTHY, UNKNOWN

using Event = std::variant<PullStarted, PullStopped, ContainerStarted, ContainerExited, TaskRunning, TaskFailedToStart,
                           TaskStopped, HealthChanged>;
struct Report {
  TaskId task;
  Event event;
};

// A listening socket that only one task reaches (169.254.170.2:80 and :4580 as seen from it), non-blocking, opened before its
// containers start. What is accepted there comes from that task and from nobody else. The receiver serves it until
// listeners_closing; a copy of the descriptor (dup) must be closed by then.
struct TaskListener {
  TaskId task;
  std::string purpose;  // "metadata" (port 80), "front-door" (port 4580)
  int descriptor = -1;  // owned by the runtime
};

class Runtime {
 public:
  struct Options {
    std::string state_directory;            // absolute; runtime/ below it is the runtime's
    std::string run_name;                   // a prefix of every cgroup and namespace name, e.g. "berth-4580"
    std::vector<std::string> hidden_paths;  // besides the built-in ones, hidden from `host` images (the state directory, ...)
    unsigned front_door_port = 4580;
  };
  struct Handlers {
    std::function<void(Report)> report;
    std::function<void(TaskListener)> listener_opened;     // also for adopted tasks
    std::function<void(const TaskId&)> listeners_closing;  // returns when nothing uses them any more
  };

  // Finds an OCI runtime that works on this host (crun, then runc; each tried with a real container), makes the VPC's network
  // namespace with its bridge. Fails with what to do: no runtime, not root, no namespaces.
  // `exits` must be started. Call share.recover() before, and adopt() soon after. Handlers are called on the runtime's threads,
  // one at a time for a task.
  static Result<std::unique_ptr<Runtime>> start(const Options& options, fuse::Share& share, Survival& survival, ChildExits& exits,
                                                Handlers handlers);
  // Tasks that run go on: the next daemon adopts them. No handler is called any more when it returns; `exits` may still call
  // back.
  virtual ~Runtime() = default;

  // The network of the VPC must be known before a task of it starts: the bridge answers as `gateway` of each subnet.
  virtual Result<> add_subnet(const std::string& gateway, unsigned prefix_length) = 0;

  virtual void launch(TaskLaunch launch) = 0;
  // SIGTERM to each container (in reverse order of dependencies), SIGKILL after its stop timeout. Also while starting.
  virtual void stop(const TaskId& task) = 0;
  // After a restart of the daemon: goes on with the tasks that still live, reports what the others did in between.
  // `expected` are the tasks that the control state holds for not stopped.
  virtual void adopt(const std::vector<TaskId>& expected) = 0;

  // A file that grows: one line an output line, `<RFC 3339 with ns> <stdout|stderr> <text>`. Kept after the task stopped.
  virtual std::string log_path(const TaskId& task, const std::string& container) const = 0;

  virtual std::string oci_runtime() const = 0;  // "runc 1.1.5"
};

}  // namespace berth::runtime

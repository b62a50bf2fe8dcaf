// TaskLife: carries the cluster's effects out by the runtime and tells the cluster what became of them.
//
// The one place where decisions meet doings. on_effect() runs on the control plane's effects thread, on_report() on the
// runtime's; neither blocks on a task. Thread-safe.
#pragma once

#include <functional>
#include <mutex>

#include "broker/control/control_plane.hpp"
#include "broker/launch/launcher.hpp"
#include "broker/runtime/runtime.hpp"
#include "fuse/share.hpp"

namespace berth::daemon {

class TaskLife {
 public:
  struct Parts {
    control::ControlPlane& plane;
    launch::Launcher& launcher;
    fuse::Share& share;
    std::function<void(const cluster_sim::InstanceId&)> boot_instance;
    std::function<void(const cluster_sim::InstanceId&)> terminate_instance;
    std::function<void(const std::string& task)> task_gone;  // e.g. to forget its credentials
  };
  explicit TaskLife(Parts parts) : parts_(std::move(parts)) {}

  // The runtime reports to this object and is started by it; so it comes second.
  void use(runtime::Runtime& runtime) { runtime_ = &runtime; }

  void on_effect(const cluster_sim::Effect& effect);
  void on_report(const runtime::Report& report);

  // After a start: adopts the tasks that live, launches those whose launch was decided but not begun, boots what was booting.
  // `begun` says whether the runtime has ever heard of a task.
  void resume(const std::function<bool(const std::string& task)>& begun);
  // Holds the rights of all live mounts against the policies of now.
  void refresh_rights();
  // Stops every task and returns when all are gone or the time is over.
  void stop_all(std::chrono::seconds patience);

 private:
  void refresh_rights(const cluster_sim::TaskId& task);
  void launch(const cluster_sim::TaskId& task);

  Parts parts_;
  std::mutex refreshing_;  // held from a decision on rights until they act: the newest decision must act last
  runtime::Runtime* runtime_ = nullptr;
};

}  // namespace berth::daemon

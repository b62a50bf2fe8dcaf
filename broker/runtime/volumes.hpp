// Volumes: makes a task's volumes at tasks/<task>/volumes/<name> and takes them away again. Containers get them by bind mounts.
#pragma once

#include <string>
#include <vector>

#include "broker/base/error.hpp"
#include "broker/runtime/paths.hpp"
#include "broker/runtime/task_launch.hpp"
#include "fuse/share.hpp"

namespace berth::runtime {

class Volumes {
 public:
  // Directories of the host that no task may mount, nor what lies in them or holds them.
  Volumes(const Paths& paths, fuse::Share& share, std::vector<std::string> refused)
      : paths_(paths), share_(share), refused_(std::move(refused)) {}

  // All of the task's volumes. Fails with ECS's texts; what was made stays until remove().
  Result<> prepare(const TaskLaunch& task);
  // Accepts tasks that it never saw.
  void remove(const TaskLaunch& task) noexcept;

 private:
  Result<> mount_share(const fuse::MountSpec& spec, const std::string& target);
  Result<> bind_host(const std::string& source, const std::string& target);

  const Paths paths_;
  fuse::Share& share_;
  const std::vector<std::string> refused_;
};

}  // namespace berth::runtime

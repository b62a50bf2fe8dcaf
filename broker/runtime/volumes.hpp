// Volumes: makes a task's volumes and takes them away again. The OCI runtime binds them into the containers from source().
//
// A mount of the share stands nowhere: the OCI runtime clones it inside the container's new mount namespace, so no other
// namespace ever shows it. Kernels before 6.15 clone no detached mounts; there, as for the other kinds, a volume stands at
// tasks/<task>/volumes/<name>, in the keeper's private mount namespace.
#pragma once

#include <string>
#include <vector>

#include "broker/base/error.hpp"
#include "broker/runtime/mounts.hpp"
#include "broker/runtime/paths.hpp"
#include "broker/runtime/task_launch.hpp"
#include "fuse/share.hpp"

namespace berth::runtime {

class Volumes {
 public:
  // Directories of the host that no task may mount, nor what lies in them or holds them.
  Volumes(const Paths& paths, fuse::Share& share, std::vector<std::string> refused, bool clones = clones_detached_mounts())
      : paths_(paths), share_(share), refused_(std::move(refused)), clones_(clones) {}

  // The path from which a container's mount namespace binds the volume; good while the task's volumes are.
  std::string source(const TaskLaunch& task, const Volume& volume) const;

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
  const bool clones_;  // the kernel clones detached mounts
};

}  // namespace berth::runtime

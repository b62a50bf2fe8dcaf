// Bundle: the directory from which the OCI runtime makes one container: root file system, configuration, the files of /etc that
// belong to the task and not to the image.
#pragma once

#include <string>

#include "broker/base/error.hpp"
#include "broker/runtime/machine.hpp"

namespace berth::runtime {

// `<task>-<container>`: the container's id for the OCI runtime, and in task metadata.
std::string runtime_id(const TaskId& task, const std::string& container);

// Makes all of it at paths.bundle(). Fails with ECS's CannotPullContainerError and CannotCreateContainerError texts; what was
// made stays until remove_bundle().
Result<> make_bundle(const Machine& machine, const TaskLaunch& task, const Container& container);
// Unmounts the root. Accepts bundles that it never saw.
void remove_bundle(const Machine& machine, const TaskId& task, const std::string& container) noexcept;

// /etc/hosts of a task's containers.
std::string hosts_file(const std::string& hostname, const std::string& address);

}  // namespace berth::runtime

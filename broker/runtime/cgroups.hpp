// Cgroups: /<run name>/<task>/<container> in every hierarchy of the host, version 1 (or hybrid) and version 2. The task's group
// carries the task's limits; the OCI runtime makes the containers' groups below it.
// https://www.kernel.org/doc/html/latest/admin-guide/cgroup-v2.html, .../cgroup-v1/
// Thread-safe: it holds nothing that changes.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "broker/base/error.hpp"
#include "broker/runtime/mounts.hpp"
#include "broker/runtime/paths.hpp"

namespace berth::runtime {

class Cgroups {
 public:
  enum class Version { v1, v2 };  // hybrid counts as v1: there the controllers are

  // From the host's mounts. Fails where the cpu or the memory controller is nowhere.
  static Result<Cgroups> find(const std::vector<MountEntry>& mounts, const std::string& run_name);

  Version version() const { return version_; }
  // For the OCI configuration (`cgroupsPath`).
  std::string container_path(const TaskId& task, const std::string& container) const;
  // The directory of a controller ("memory"), for reading and for tests.
  std::string directory(const std::string& controller, const TaskId& task, const std::string& container = {}) const;
  bool swap_limit() const { return swap_limit_; }

  Result<> create(const TaskId& task, std::optional<unsigned> cpu, std::optional<unsigned> memory_mib) const;
  // Is the process one of the container's?
  bool holds(const TaskId& task, const std::string& container, pid_t pid) const;
  // How many processes of the container the kernel has killed for memory.
  unsigned memory_kills(const TaskId& task, const std::string& container) const;
  // Kills everything in the task's groups, also what escaped the OCI runtime's notice, and removes them with what lies below.
  // What is not there is fine.
  void end(const TaskId& task) const;
  // The tasks that have groups, from an earlier run too.
  std::vector<TaskId> tasks() const;
  void remove_root() const;

 private:
  struct Hierarchy {
    std::string path;         // where it is mounted
    std::string controllers;  // ",cpu,cpuacct," or ",unified," for version 2
  };
  std::string root_of(const std::string& controller) const;
  bool kill(const TaskId& task) const;  // false while something is left
  std::string group(const Hierarchy& hierarchy, const TaskId& task) const {
    return hierarchy.path + "/" + run_name_ + "/" + task.str();
  }
  Result<> limit_v1(const TaskId& task, std::optional<unsigned> cpu, std::optional<unsigned> memory_mib) const;
  Result<> limit_v2(const TaskId& task, std::optional<unsigned> cpu, std::optional<unsigned> memory_mib) const;

  Version version_ = Version::v1;
  std::string run_name_;
  std::vector<Hierarchy> hierarchies_;
  bool swap_limit_ = false;
};

}  // namespace berth::runtime

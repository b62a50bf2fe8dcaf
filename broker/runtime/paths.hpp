// Paths: where the runtime keeps what, below <state>/runtime:
//
//   oci/                       the OCI runtime's own state (`runc --root`)
//   oci-runtime                which OCI runtime works here, see probe_memory.hpp
//   netns/vpc, netns/<task>    network namespaces, held by bind mounts
//   scratch/                   a tmpfs: what hides the host in `host` images, and overlay uppers that its disk can't hold
//   images/<digest>/           unpacked OCI images
//   logs/<task>/<container>.log
//   tasks/<task>/launch.json   the TaskLaunch, for adoption
//   tasks/<task>/volumes/<name>
//   tasks/<task>/containers/<name>/{config.json,rootfs,upper,work,pid,log,hosts,hostname,resolv.conf}
#pragma once

#include <string>

#include "broker/runtime/task_launch.hpp"

namespace berth::runtime {

class Paths {
 public:
  explicit Paths(const std::string& state_directory) : root_(state_directory + "/runtime") {}

  const std::string& root() const { return root_; }
  std::string oci() const { return root_ + "/oci"; }
  std::string probe_memory() const { return root_ + "/oci-runtime"; }
  std::string namespaces() const { return root_ + "/netns"; }
  std::string network_namespace(const std::string& name) const { return namespaces() + "/" + name; }
  std::string scratch() const { return root_ + "/scratch"; }
  std::string images() const { return root_ + "/images"; }
  std::string logs(const TaskId& task) const { return root_ + "/logs/" + task.str(); }
  std::string log(const TaskId& task, const std::string& container) const { return logs(task) + "/" + container + ".log"; }
  std::string tasks() const { return root_ + "/tasks"; }
  std::string task(const TaskId& task) const { return tasks() + "/" + task.str(); }
  std::string launch_record(const TaskId& id) const { return task(id) + "/launch.json"; }
  std::string volume(const TaskId& id, const std::string& name) const { return task(id) + "/volumes/" + name; }
  std::string bundle(const TaskId& id, const std::string& container) const { return task(id) + "/containers/" + container; }

 private:
  std::string root_;
};

}  // namespace berth::runtime

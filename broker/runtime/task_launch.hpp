// TaskLaunch: all that the runtime needs to know to make one task real. A value: built by broker/launch from a placed task and
// its task definition, carried out by the runtime, kept in the state directory so that a daemon that starts again can adopt
// the running task.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "broker/base/id.hpp"
#include "fuse/share.hpp"

namespace berth::runtime {

// The id part of the task's ARN, 32 hex digits.
using TaskId = Id<struct RuntimeTaskIdTag>;

// The elastic network interface of an awsvpc task, as cluster_sim handed it out.
struct NetworkInterface {
  std::string id;       // eni-...
  std::string mac;      // 02:...
  std::string address;  // 10.0.1.17
  unsigned prefix_length = 24;
  std::string gateway;  // 10.0.1.1: answered by the VPC's bridge
};

enum class NetworkMode {
  awsvpc,  // own network namespace, the interface above as eth0 on the VPC's bridge
  bridge,  // own network namespace, an address of Docker's bridge range, no port mappings yet
  none,    // own network namespace with lo only
};

// A volume that the task's containers may mount, by name.
struct Volume {
  enum class Kind {
    efs,      // a mount of the share
    scratch,  // an empty directory that lives as long as the task (bind mount volume without a host path)
    host,     // a directory of the host (bind mount volume with host.sourcePath)
  };
  std::string name;
  Kind kind = Kind::scratch;
  std::optional<fuse::MountSpec> share;  // efs
  std::string root_missing;              // efs: why the task can't start where the share finds no root directory; not kept
  std::string host_path;                 // host
};

struct MountPoint {
  std::string volume;
  std::string container_path;
  bool read_only = false;
};

struct Ulimit {
  std::string name;  // "nofile"
  std::uint64_t soft = 0, hard = 0;
};

struct Container {
  std::string name;
  // `host` (the host's root, read-only under a throw-away overlay), a directory with a root file system, or an OCI layout
  // (a directory with `oci-layout`; `:tag` may follow).
  std::string image;
  bool essential = true;
  std::vector<std::string> entry_point;            // empty: the image's
  std::vector<std::string> command;                // empty: the image's
  std::map<std::string, std::string> environment;  // whole: what ECS injects is in it already
  std::string working_directory;
  std::string user;  // "", "uid", "uid:gid", "name"
  std::vector<MountPoint> mount_points;
  std::optional<unsigned> cpu;         // CPU units, 1024 a vCPU: shares
  std::optional<unsigned> memory_mib;  // hard limit
  std::optional<unsigned> memory_reservation_mib;
  bool read_only_root = false;
  bool privileged = false;                                       // refused by the runtime
  std::vector<std::string> add_capabilities, drop_capabilities;  // "SYS_PTRACE"
  std::vector<Ulimit> ulimits;
  std::string hostname;
  std::chrono::seconds stop_timeout{30};
  std::optional<std::chrono::seconds> start_timeout;
  struct Dependency {
    std::string container;
    std::string condition;  // START, COMPLETE, SUCCESS, HEALTHY
  };
  std::vector<Dependency> depends_on;
  struct HealthCheck {
    std::vector<std::string> command;  // ["CMD-SHELL", "..."] or ["CMD", ...]
    std::chrono::seconds interval{30}, timeout{5}, start_period{0};
    unsigned retries = 3;
  };
  std::optional<HealthCheck> health_check;
  bool init = false;  // linuxParameters.initProcessEnabled
};

struct TaskLaunch {
  TaskId id;
  std::string arn;
  NetworkMode network = NetworkMode::awsvpc;
  std::optional<NetworkInterface> interface;
  std::vector<Volume> volumes;
  std::vector<Container> containers;
  std::optional<unsigned> cpu;         // task limit in CPU units
  std::optional<unsigned> memory_mib;  // task limit
  std::string hostname;                // ip-10-0-1-17.<region>.compute.internal
};

}  // namespace berth::runtime

// The commands of `berth`, a function each. Every one prints its result on standard output and answers why it could not.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "broker/base/error.hpp"

namespace berth::cli {

struct UpOptions {
  std::string state_directory;
  std::string listen = "127.0.0.1:4580";
  std::string region;                       // empty: what the state directory has; us-east-1 at first
  std::string docker_plugin;                // socket of the volume plugin, or off; empty: Docker's default place
  std::string docker_role;                  // of Docker's volumes that name none
  std::vector<std::string> daemon_options;  // for berthd as they are
  bool json = false;
};
// Starts `berthd` in the background and waits until it answers. Done at once where it runs already.
Result<int> up(const UpOptions& options);

struct CommonOptions {
  std::string state_directory;
  bool json = false;
};
// Prints shell exports of the endpoint and the administrator's access key, for `eval "$(berth env)"`.
Result<int> env(const CommonOptions& options);
// Prints what runs: the daemon, clusters, container instances, tasks, file systems.
Result<int> status(const CommonOptions& options);
// Stops all tasks and the daemon; what the API holds stays in the state directory.
Result<int> down(const CommonOptions& options);

// `berthd` stands beside `berth`.
std::string daemon_path();

struct UpgradeOptions : CommonOptions {
  std::string binary;  // empty: the berthd beside this program
};
// Another berthd takes the running one's place: tasks and mounts see a pause. The old one comes back where it fails.
Result<int> upgrade(const UpgradeOptions& options);

struct ZoneOptions : CommonOptions {
  std::string action;  // isolate, lose, restore, latency
  std::string zone, other;
  std::string milliseconds;
  bool soft = false, read_only = false;
  unsigned timeo = 600;  // tenths of a second, as NFS's mount option
  unsigned retrans = 2;
};
// Cuts a zone off from the share or gives it back; says how long messages take.
Result<int> zone(const ZoneOptions& options);

struct StopOptions : CommonOptions {
  std::string task;  // ARN, id or the beginning of an id
  std::string reason;
};
Result<int> stop(const StopOptions& options);

struct LogsOptions : CommonOptions {
  std::string task;
  std::string container;  // empty: all, each line with its container's name where there are several
  bool follow = false;
  bool timestamps = false;
};
Result<int> logs(const LogsOptions& options);

struct RunOptions : CommonOptions {
  std::vector<std::string> argv;
  std::string task_definition;  // instead of argv: family, family:revision or ARN
  std::string image = "host";
  std::string role;                      // name or ARN of the task role
  std::vector<std::string> volumes;      // FILE_SYSTEM[/ACCESS_POINT]:/path[:ro]
  std::vector<std::string> environment;  // NAME=value
  std::string cluster = "default";
  std::string launch_type = "FARGATE";
  std::string zone;    // empty: the first
  std::string subnet;  // empty: the default subnet of the zone
  std::string cpu = "256", memory = "512";
};
// Runs one task, streams its output, answers its exit code; Ctrl-C stops it.
Result<int> run(const RunOptions& options);

// `berth fs`: file systems from the host, with a mount and without.
struct FsMountOptions : CommonOptions {
  std::string source;  // FILE_SYSTEM[:/PATH]
  std::string directory;
  std::string role, access_point, zone;
  bool read_only = false, io_uring = false;
};
Result<int> fs_mount(const FsMountOptions& options);
struct FsUnmountOptions : CommonOptions {
  std::string directory;
  bool lazy = false;
};
Result<int> fs_unmount(const FsUnmountOptions& options);
Result<int> fs_mounts(const CommonOptions& options);
// Takes this daemon's mounts out of this process's mount namespace; for `berth down`.
void unmount_all(const std::string& state_directory);

struct FsLookOptions : CommonOptions {
  std::string path;  // FILE_SYSTEM[:/PATH]
};
Result<int> fs_ls(const FsLookOptions& options);
Result<int> fs_du(const FsLookOptions& options);

struct FsCopyOptions : CommonOptions {
  std::string from, to;  // one of them FILE_SYSTEM:/PATH
  bool recursive = false;
  std::string owner;  // UID:GID of what is made on the file system; empty: 0:0
};
Result<int> fs_cp(const FsCopyOptions& options);

}  // namespace berth::cli

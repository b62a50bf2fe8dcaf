// Config: what a start of the daemon can be told. Unknown options are errors.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "broker/base/error.hpp"
#include "broker/docker/plugin_socket.hpp"

namespace berth::daemon {

struct Config {
  std::string state_directory = "/var/lib/berth";  // absolute
  std::string address = "127.0.0.1";               // of the front door
  unsigned port = 4580;                            // 0: a free one
  std::string region = "us-east-1";                // fixed at the first start
  bool region_given = false;
  unsigned zones = 2;             // how many availability zones, 2 to 6
  unsigned request_workers = 16;  // calls decided at the same time
  unsigned share_workers = 4;
  unsigned share_linger = 100;                // microseconds, as fuse::Share::Options::linger
  double metadata_steady = 40;                // credential and metadata requests a second, for each path of a task: the
  double metadata_burst = 60;                 // ECS agent's limits; steady 0: none
  bool passthrough = true;                    // kernel passthrough on the share, where there is any
  bool efs_throughput = false;                // hold every EFS file system to its throughput mode
  std::map<std::string, std::string> places;  // directories for EFS file systems beside the state directory, by name
  unsigned metrics_seconds = 60;              // how often metrics are sampled and file systems measured
  unsigned replication_seconds = 30;          // between two passes of a replication, at least
  std::string docker_plugin = docker::kDefaultPluginSocket;  // socket of the volume plugin; empty: none
  bool docker_plugin_given = false;                          // else it may be missing
  std::string docker_plugin_missing;                         // why there is none
  std::string docker_role;                                   // of volumes that name none; name or ARN
  bool log_to_file = false;                                  // to <state directory>/daemon.log instead of standard error
  bool verbose = false;                                      // debug lines too
  bool list_operations = false;                              // print docs/API.md and end
  std::string handover;           // TABLE:BINARY, descriptors from the program whose place this one takes
  int front_door = -1;            // and the listening socket; these are descriptors of the keeper's
  int plugin_socket = -1;         // and the volume plugin's
  int host_mounts = -1;           // and the mount namespace that Berth was started in
  int host_root = -1;             // and the root directory there
  bool handover_version = false;  // print what says which programs can take this one's place, and end
  int ready_fd = -1;              // gets "ready ENDPOINT" or "error: why" once
};

// Reads the command line of `berthd` and prints what is to print: help, the version, or what is wrong.
struct ParsedConfig {
  Config config;
  int exit_code = -1;   // >= 0: end with it
  std::string problem;  // what is wrong, for whoever waits at ready_fd
};
ParsedConfig parse_command_line(int argc, char** argv);

// `us-east-1` -> us-east-1a, us-east-1b, ...
std::vector<std::string> zone_names(const Config& config);

}  // namespace berth::daemon

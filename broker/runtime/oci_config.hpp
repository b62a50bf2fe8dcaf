// The OCI runtime configuration (config.json) of a container: Docker's defaults, filled from the task definition.
// https://github.com/opencontainers/runtime-spec/blob/v1.0.2/config.md
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "broker/base/error.hpp"
#include "broker/runtime/image.hpp"
#include "broker/runtime/task_launch.hpp"
#include "broker/runtime/user.hpp"

namespace berth::runtime {

struct BindMount {
  std::string source, destination;
  bool read_only = false;
  bool devices = true;  // whether device nodes in it are devices
};

struct BundleSpec {
  const Container* container = nullptr;
  ImageConfig image;
  ContainerUser user;
  std::string root_path;          // the mounted root file system
  std::string network_namespace;  // path
  std::string cgroup_path;        // /<run>/<task>/<container>
  std::string hostname;
  std::vector<BindMount> binds;      // in the order in which they are mounted
  std::uint64_t open_files_max = 0;  // of the host: RLIMIT_NOFILE's hard limit
  bool limit_swap = false;
};

// Fails for what Berth refuses (privileged, capabilities) or can't do, with a text for people.
Result<std::string> oci_config(const BundleSpec& spec);

// What the container runs: entry point and command, the image's where the container has none of its own (as Docker does).
std::vector<std::string> container_arguments(const Container& container, const ImageConfig& image);

}  // namespace berth::runtime

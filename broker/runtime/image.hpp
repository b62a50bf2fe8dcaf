// Image: what a container starts from. Three kinds of reference, told apart by what is there:
//   host                    the host's root
//   /srv/images/busybox     a directory with a root file system
//   /srv/images/app:1.2     an OCI image layout (a directory with the file `oci-layout`), a tag may follow
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "broker/base/error.hpp"

namespace berth::runtime {

// The parts of an image's configuration that a container inherits (OCI image specification, config.md).
struct ImageConfig {
  std::vector<std::pair<std::string, std::string>> environment;
  std::vector<std::string> entry_point, command;
  std::string user, working_directory, stop_signal;
};

struct ImageReference {
  enum class Kind { host, directory, oci_layout };
  Kind kind = Kind::host;
  std::string path;  // absolute; empty for host
  std::string tag;   // oci_layout; empty: the only one, else `latest`
};

// Looks at the disk. Fails with ECS's CannotPullContainerError text that says what Berth accepts.
Result<ImageReference> parse_image(const std::string& image);

}  // namespace berth::runtime

// BackingName: where the kernel says that something open lies (proc_pid_fd(5)), below a root.
#pragma once

#include <optional>
#include <string>

#include "broker/base/unique_fd.hpp"

namespace berth::fuse {

struct BackingName {
  UniqueFd directory;  // O_PATH
  std::string name;
};

// nullopt where it has no name below `root` any more, or one behind a link or on another file system. May be old when it returns.
std::optional<BackingName> name_below(int root, int fd);

}  // namespace berth::fuse

// Mounts in the keeper's private mount namespace, and the kernel's list of them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "broker/base/error.hpp"

namespace berth::runtime {

// One line of /proc/self/mountinfo (proc(5)).
struct MountEntry {
  std::string root;  // which directory of the file system
  std::string mount_point;
  std::string type;     // ext4, cgroup2, ...
  std::string source;   // a device, or what the file system calls itself
  std::string options;  // of the mount
  std::string super_options;
  bool shared = false;  // what is mounted below it shows in other mount namespaces
};
std::vector<MountEntry> parse_mount_table(std::string_view mountinfo);
Result<std::vector<MountEntry>> mount_table();

Result<> mount_at(const char* source, const std::string& target, const char* type, unsigned long flags,
                  const std::string& data = {});
// Places a detached mount (fsmount's or open_tree's descriptor).
Result<> place_mount(int mount, const std::string& target);
// Whether this kernel makes places of a mount that stands nowhere: since 6.15.
bool clones_detached_mounts();
// Takes a mount away at once; what is not a mount is fine. Does not look into it.
void detach_mount(const std::string& target) noexcept;
// Is a network namespace bound here, in this mount namespace?
bool is_namespace_mount(const std::string& path);

// Is `path` this directory, or in it? By their text.
bool is_below(std::string_view path, std::string_view directory);

// A path as overlayfs' lowerdir= and upperdir= options want it: `\`, `:` and `,` escaped.
std::string overlay_escaped(std::string_view path);

}  // namespace berth::runtime

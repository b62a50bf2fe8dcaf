// Small files, whole: reading, writing and making directories, with Results.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "broker/base/error.hpp"

namespace berth::runtime {

// Up to `limit` bytes; works on proc and cgroup files too.
Result<std::string> read_file(const std::string& path, std::size_t limit = std::size_t{1} << 20);
// Makes the file or truncates it.
Result<> write_file(const std::string& path, std::string_view text, mode_t mode = 0644);
// Like write_file, but after a crash of the program the old or the new text is there, never a part. Not synced to disk: for
// what tells of processes and mounts, which a crash of the machine ends too.
Result<> replace_file(const std::string& path, std::string_view text, mode_t mode = 0600);
// Writes to a control file of the kernel (sysctl, cgroup): one write(2), never creates.
Result<> write_control(const std::string& path, std::string_view text);
// mkdir -p; existing ones keep their mode.
Result<> make_directories(const std::string& path, mode_t mode = 0755);
// Removes the tree without following links or crossing into other mounts; what is not there is fine.
Result<> remove_tree(const std::string& path);

}  // namespace berth::runtime

// Backing events: what fanotify(7) reports of a backing directory, read from the kernel's bytes.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>

#include "fuse/file_handle.hpp"

namespace berth::fuse {

using DiskId = std::array<std::int32_t, 2>;  // which file system of the machine: f_fsid of statfs(2)

struct BackingEvent {
  std::uint64_t mask = 0;  // FAN_CREATE, ...
  pid_t thread = 0;        // that did it; 0 where it is none of this PID namespace
  DiskId file_system{};
  std::optional<FileHandle> directory;
  std::string_view name;            // in `directory`; ".": the directory itself. Valid during the call only
  std::optional<FileHandle> inode;  // that the event is about; nothing where it is `directory` itself
};

// Calls f(event) for each event of a group with FAN_REPORT_DFID_NAME_TARGET, as read(2) gives them. Ends at the first that is
// not whole.
void each_backing_event(std::span<const std::byte> bytes, const std::function<void(const BackingEvent&)>& f);

}  // namespace berth::fuse

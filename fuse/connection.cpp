#include "fuse/connection.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>

#include <fmt/format.h>

#include "broker/base/unique_fd.hpp"

namespace berth::fuse {

Result<> abort_connection(std::uint64_t device) {
  const UniqueFd context(fsopen("fusectl", FSOPEN_CLOEXEC));
  if (!context) return fail_errno(errno, "fsopen of fusectl");
  if (fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) return fail_errno(errno, "configuring fusectl");
  const UniqueFd control(fsmount(context.get(), FSMOUNT_CLOEXEC, 0));  // stands in no namespace
  if (!control) return fail_errno(errno, "fsmount of fusectl");
  const std::string name = fmt::format("{}/abort", minor(device));
  const UniqueFd abort(openat(control.get(), name.c_str(), O_WRONLY | O_CLOEXEC));
  if (!abort && errno == ENOENT) return {};
  if (!abort || write(abort.get(), "1", 1) != 1) return fail_errno(errno, "ending the connection of a mount");
  return {};
}

}  // namespace berth::fuse

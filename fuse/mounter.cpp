#include "fuse/mounter.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace berth::fuse {
namespace {

// The names of one path, "/a//b/." as a, b. Nothing that could lead back up.
Result<std::vector<std::string>> split_path(std::string_view path) {
  std::vector<std::string> names;
  while (!path.empty()) {
    const auto end = path.find('/');
    const std::string_view name = path.substr(0, end);
    path = end == std::string_view::npos ? std::string_view{} : path.substr(end + 1);
    if (name.empty() || name == ".") continue;
    if (name == "..") return fail(Code::invalid_argument, "root directory may not contain `..`");
    names.emplace_back(name);
  }
  return names;
}

constexpr int kDirectory = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

// The descriptor of a directory made just now; nullopt where another mount was quicker: that one is left as it is. Whoever may
// write in `parent` may put something else in its place meanwhile: what gets owner and permissions is what was made here, which
// is root's and closed to all.
Result<std::optional<UniqueFd>> make_root_directory(int parent, const std::string& name, const CreationInfo& creation) {
  if (mkdirat(parent, name.c_str(), 0) != 0) {
    if (errno == EEXIST) return std::nullopt;
    return fail_errno(errno, fmt::format("making root directory `{}`", name));
  }
  UniqueFd made(openat(parent, name.c_str(), kDirectory));
  struct stat status{};
  if (!made || fstat(made.get(), &status) != 0) return fail_errno(errno, fmt::format("root directory `{}`", name));
  if (status.st_uid != 0 || (status.st_mode & 0777) != 0)
    return fail(Code::failed_precondition, "root directory `{}` was replaced while it was made", name);
  const std::string path = fmt::format("/proc/self/fd/{}", made.get());
  if (fchownat(made.get(), "", creation.owner_uid, creation.owner_gid, AT_EMPTY_PATH) != 0 ||
      chmod(path.c_str(), creation.permissions & 07777) != 0) {
    return fail_errno(errno, fmt::format("owner and permissions of root directory `{}`", name));
  }
  return made;
}

}  // namespace

Result<UniqueFd> open_fuse_device() {
  UniqueFd device(open("/dev/fuse", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (device) return device;
  Error error = fail_errno(errno, "opening /dev/fuse").error();
  error.code = Code::unavailable;
  error.message += "; load the kernel module (`modprobe fuse`) or give the container the device (`--device /dev/fuse`)";
  return fail(std::move(error));
}

Result<UniqueFd> make_detached_mount(int device, const MountId& id, bool check_permissions) {
  const UniqueFd context(fsopen("fuse", FSOPEN_CLOEXEC));
  if (!context) return fail_errno(errno, "fsopen of fuse");
  const auto set = [&](const char* key, const std::string& value) {
    return fsconfig(context.get(), FSCONFIG_SET_STRING, key, value.c_str(), 0) == 0;
  };
  const auto flag = [&](const char* key) { return fsconfig(context.get(), FSCONFIG_SET_FLAG, key, nullptr, 0) == 0; };
  const bool configured = set("source", id.str().empty() ? "berth" : id.str()) && set("subtype", "berth") &&
                          set("fd", std::to_string(device)) && set("rootmode", "40000") && set("user_id", "0") &&
                          set("group_id", "0") && flag("allow_other") && (!check_permissions || flag("default_permissions")) &&
                          fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0;
  if (!configured) return fail_errno(errno, "configuring the fuse mount");
  UniqueFd mount(fsmount(context.get(), FSMOUNT_CLOEXEC, MOUNT_ATTR_NODEV));
  if (!mount) return fail_errno(errno, "fsmount of fuse");
  return mount;
}

Result<std::uint64_t> device_of_mount(int mount) {
  struct statx status{};
  if (statx(mount, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &status) != 0)
    return fail_errno(errno, "statx of a mount");
  return makedev(status.stx_dev_major, status.stx_dev_minor);
}

Result<UniqueFd> open_root(const MountSpec& spec) {
  const auto names = split_path(spec.root);
  if (!names) return fail(names.error());
  // The backing directory itself is the operator's word: links in its path are followed.
  UniqueFd at(open(spec.backing_directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!at) return fail_errno(errno, fmt::format("backing directory `{}`", spec.backing_directory));
  for (const std::string& name : *names) {
    UniqueFd next(openat(at.get(), name.c_str(), kDirectory));
    if (!next && errno == ENOENT && spec.creation) {
      auto made = make_root_directory(at.get(), name, *spec.creation);
      if (!made) return fail(made.error());
      next = *made ? std::move(**made) : UniqueFd(openat(at.get(), name.c_str(), kDirectory));
    }
    if (!next && errno == ENOENT) return fail(Code::not_found, "root directory `{}` does not exist", spec.root);
    if (!next) return fail_errno(errno, fmt::format("root directory `{}`", spec.root));
    at = std::move(next);
  }
  return at;
}

}  // namespace berth::fuse

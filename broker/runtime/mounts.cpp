#include "broker/runtime/mounts.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/vfs.h>

#include <cerrno>
#include <sstream>

#include "broker/base/encoding.hpp"
#include "broker/base/unique_fd.hpp"
#include "broker/runtime/files.hpp"

namespace berth::runtime {
namespace {

constexpr long kNsfsMagic = 0x6e736673;  // linux/magic.h

}  // namespace

std::vector<MountEntry> parse_mount_table(std::string_view mountinfo) {
  std::vector<MountEntry> entries;
  std::istringstream lines{std::string(mountinfo)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    MountEntry entry;
    std::string id, parent, device, field;
    if (!(fields >> id >> parent >> device >> entry.root >> entry.mount_point >> entry.options)) continue;
    while (fields >> field && field != "-") entry.shared = entry.shared || field.starts_with("shared:");
    fields >> entry.type >> entry.source >> entry.super_options;
    entry.root = mount_field_decode(entry.root);
    entry.mount_point = mount_field_decode(entry.mount_point);
    entry.source = mount_field_decode(entry.source);
    entries.push_back(std::move(entry));
  }
  return entries;
}

Result<std::vector<MountEntry>> mount_table() {
  auto text = read_file("/proc/self/mountinfo", std::size_t{64} << 20);
  if (!text) return fail(text.error());
  return parse_mount_table(*text);
}

Result<> mount_at(const char* source, const std::string& target, const char* type, unsigned long flags, const std::string& data) {
  if (::mount(source, target.c_str(), type, flags, data.empty() ? nullptr : data.c_str()) == 0) return {};
  return fail_errno(errno, "mount " + std::string(type != nullptr ? type : source) + " at `" + target + "`");
}

Result<> place_mount(int mount, const std::string& target) {
  if (::move_mount(mount, "", AT_FDCWD, target.c_str(), MOVE_MOUNT_F_EMPTY_PATH) == 0) return {};
  return fail_errno(errno, "move_mount to `" + target + "`");
}

bool clones_detached_mounts() {
  const UniqueFd context(::fsopen("tmpfs", FSOPEN_CLOEXEC));
  if (!context || ::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) return false;
  const UniqueFd mount(::fsmount(context.get(), FSMOUNT_CLOEXEC, 0));
  return UniqueFd(::open_tree(mount.get(), "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH)).get() >= 0;
}

void detach_mount(const std::string& target) noexcept {
  // A place may hold several mounts, one on the other.
  while (::umount2(target.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) {
  }
}

bool is_namespace_mount(const std::string& path) {
  struct statfs info{};
  return ::statfs(path.c_str(), &info) == 0 && info.f_type == kNsfsMagic;
}

bool is_below(std::string_view path, std::string_view directory) {
  if (path == directory || directory == "/") return true;
  return path.starts_with(directory) && path.size() > directory.size() && path[directory.size()] == '/';
}

std::string overlay_escaped(std::string_view path) {
  std::string result;
  for (const char c : path) {
    if (c == '\\' || c == ':' || c == ',') result += '\\';
    result += c;
  }
  return result;
}

}  // namespace berth::runtime

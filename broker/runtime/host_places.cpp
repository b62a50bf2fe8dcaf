#include "broker/runtime/host_places.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>
#include <thread>

#include "broker/base/log.hpp"
#include "broker/base/unique_fd.hpp"
#include "broker/runtime/files.hpp"
#include "broker/runtime/mounts.hpp"

namespace berth::runtime {
namespace {

constexpr std::string_view kType = "fuse.berth";

Result<> enter(const HostNamespace& host) {
  if (::unshare(CLONE_FS) != 0) return fail_errno(errno, "unshare the root directory");
  if (::setns(host.mounts, CLONE_NEWNS) != 0) return fail_errno(errno, "enter the host's mount namespace");
  if (::fchdir(host.root) != 0 || ::chroot(".") != 0) return fail_errno(errno, "enter the host's root directory");
  return {};
}

// Berth's mounts in the namespace of `process`: a directory of /proc.
Result<std::vector<MountEntry>> table_of(const std::string& process) {
  auto text = read_file(process + "/mountinfo", std::size_t{64} << 20);
  if (!text) return fail(text.error());
  auto entries = parse_mount_table(*text);
  std::erase_if(entries, [](const MountEntry& entry) { return entry.type != kType; });
  return entries;
}

// This thread's: /proc/self would name the namespace of the process's first thread.
Result<std::vector<MountEntry>> table_here() { return table_of("/proc/thread-self"); }

// As the kernel's list has it: without the links on the way to it.
std::string real_place(const std::string& directory) {
  std::error_code failed;
  const std::filesystem::path path(directory);
  const auto parent = std::filesystem::canonical(path.parent_path(), failed);
  return failed ? directory : (parent / path.filename()).string();
}

Result<UniqueFd> clone_of(int mount) {
  UniqueFd clone(::open_tree(mount, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH));
  if (clone) return clone;
  if (errno != EINVAL) return fail_errno(errno, "clone a mount of the share");
  UniqueFd itself(::fcntl(mount, F_DUPFD_CLOEXEC, 3));
  if (!itself) return fail_errno(errno, "duplicate a mount of the share");
  return itself;
}

}  // namespace

Result<> LinuxHostPlaces::there(const std::function<Result<>()>& step) const {
  Result<> done;
  std::jthread([&] {
    done = enter(host_);
    if (done) done = step();
  }).join();
  return done;
}

Result<> LinuxHostPlaces::put(int mount, const std::string& source, const std::string& directory, bool read_only) {
  return there([&]() -> Result<> {
    // First of all: nobody of this process may look at what stands there, which this process serves.
    const auto table = table_here();
    if (!table) return fail(table.error());
    const std::string place = real_place(directory);
    const auto stands = [&](const MountEntry& entry) { return entry.mount_point == place && entry.source == source; };
    if (std::ranges::any_of(*table, stands)) return {};
    detach_mount(place);  // of a Berth that is gone
    if (auto made = make_directories(place); !made) return made;
    auto clone = clone_of(mount);
    if (!clone) return fail(clone.error());
    struct mount_attr attributes{};
    attributes.attr_set = MOUNT_ATTR_NODEV | (read_only ? MOUNT_ATTR_RDONLY : 0U);
    if (::mount_setattr(clone->get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) != 0)
      return fail_errno(errno, "restrict a mount of the share");
    return place_mount(clone->get(), place);
  });
}

void LinuxHostPlaces::take_away(const std::string& directory) {
  const auto done = there([&]() -> Result<> {
    detach_mount(directory);
    if (::rmdir(directory.c_str()) != 0 && errno != ENOENT) return fail_errno(errno, "remove `" + directory + "`");
    return {};
  });
  if (!done) log::warning("a place on the host stays", {{"directory", directory}, {"error", done.error().message}});
}

bool LinuxHostPlaces::used(const std::string& source, const std::string& directory) {
  // Namespaces that get the host's mounts by propagation show the place itself too, some of them below another root.
  const std::string place = real_place(directory);
  const auto elsewhere = [&](const MountEntry& entry) { return entry.source == source && !entry.mount_point.ends_with(place); };
  std::set<std::string> seen;
  std::error_code failed;
  for (const auto& process : std::filesystem::directory_iterator("/proc", failed)) {
    const std::string space = std::filesystem::read_symlink(process.path() / "ns/mnt", failed).string();
    if (space.empty() || !seen.insert(space).second) continue;
    const auto table = table_of(process.path().string());
    if (table && std::ranges::any_of(*table, elsewhere)) return true;
  }
  return false;
}

std::vector<std::string> LinuxHostPlaces::below(const std::string& directory) {
  std::vector<std::string> places;
  const auto done = there([&]() -> Result<> {
    const auto table = table_here();
    if (!table) return fail(table.error());
    for (const MountEntry& entry : *table)
      if (is_below(entry.mount_point, real_place(directory))) places.push_back(entry.mount_point);
    return {};
  });
  if (!done) log::warning("the host's mounts can't be listed", {{"error", done.error().message}});
  return places;
}

}  // namespace berth::runtime

// `berth fs mount`, `unmount` and `mounts`.
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "broker/base/encoding.hpp"
#include "broker/cli/commands.hpp"
#include "broker/cli/connection.hpp"
#include "broker/cli/fs_connection.hpp"
#include "broker/cli/table.hpp"

namespace berth::cli {

using Json = nlohmann::json;

namespace {

// Of the directory that holds it: the mount itself may not answer any more.
std::string absolute_path(const std::string& directory) {
  std::string path = std::filesystem::absolute(directory).lexically_normal().string();
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  std::error_code failed;
  const auto parent = std::filesystem::canonical(std::filesystem::path(path).parent_path(), failed);
  return failed ? path : (parent / std::filesystem::path(path).filename()).string();
}

Result<> check_place(const std::string& directory) {
  auto placed = placed_mounts();
  if (!placed) return fail(placed.error());
  if (std::ranges::any_of(*placed, [&](const auto& mount) { return mount.directory == directory; }))
    return fail(Code::already_exists, "`{}` is a mount of Berth already: `berth fs unmount {}` first", directory, directory);
  std::error_code failed;
  if (!std::filesystem::is_directory(directory, failed))
    return fail(Code::not_found, "`{}` is not a directory: make it first", directory);
  return {};
}

// A task's root may have made set-user-ID programs and devices on it: they must mean nothing to the host's users.
Result<> place(const UniqueFd& mount, const std::string& directory, bool read_only) {
  struct mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (read_only ? MOUNT_ATTR_RDONLY : 0U);
  if (::mount_setattr(mount.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) != 0)
    return fail_errno(errno, "restrict the mount");
  if (::move_mount(mount.get(), "", AT_FDCWD, directory.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0)
    return fail_errno(errno, "mount at `" + directory + "`");
  return {};
}

Result<Json> daemon_mounts(const std::string& state_directory) {
  auto answer = admin(state_directory, "GET", "/fs/mounts");
  if (!answer) return fail(answer.error());
  const Json body = Json::parse(answer->body, nullptr, false);
  if (!body.is_object()) return fail(Code::internal, "the daemon's answer is not JSON");
  return body;
}

}  // namespace

Result<int> fs_mount(const FsMountOptions& options) {
  auto remote = parse_remote(options.source);
  if (!remote) return fail(remote.error());
  if (!options.access_point.empty() && remote->path != "/")
    return fail(Code::invalid_argument, "an access point has a root of its own: leave `:{}` out", remote->path);
  const std::string directory = absolute_path(options.directory);
  if (auto right = check_place(directory); !right) return fail(right.error());
  auto taken = take_mount(options.state_directory, "mount",
                          {{"file_system", remote->file_system},
                           {"root", remote->path},
                           {"access_point", options.access_point},
                           {"role", options.role},
                           {"zone", options.zone},
                           {"directory", directory},
                           {"read_only", options.read_only ? "1" : ""},
                           {"io_uring", options.io_uring ? "1" : ""}});
  if (!taken) return fail(taken.error());
  const Json& mount = taken->description;
  if (auto placed = place(taken->mount, directory, options.read_only); !placed) {
    (void)admin(options.state_directory, "POST", "/fs/unmount?mount=" + percent_encode(mount.value("mount", "")));
    return fail(placed.error());
  }
  // Where nobody hears it, the daemon has died since, and its copy with it.
  (void)report_taken(options.state_directory, *taken);
  if (options.json) {
    fmt::print("{}\n", mount.dump(2, ' ', false, Json::error_handler_t::replace));
  } else {
    fmt::print("{}:{} is mounted at {} ({}, {})\n", remote->file_system, mount.value("root", ""), directory,
               mount.value("write", false) ? "read and write" : "read only",
               mount.value("root_access", false) ? "root is root" : "root is nobody");
  }
  return 0;
}

Result<int> fs_unmount(const FsUnmountOptions& options) {
  const std::string directory = absolute_path(options.directory);
  auto placed = placed_mounts();
  if (!placed) return fail(placed.error());
  // The topmost of several is the last in the list.
  const auto found = std::find_if(placed->rbegin(), placed->rend(), [&](const auto& m) { return m.directory == directory; });
  if (found == placed->rend())
    return fail(Code::not_found, "`{}` is no mount of Berth's here: `berth fs mounts` lists them", directory);
  if (::umount2(directory.c_str(), UMOUNT_NOFOLLOW | (options.lazy ? MNT_DETACH : 0)) != 0) {
    if (errno == EBUSY) return fail(Code::failed_precondition, "`{}` is in use: leave it, or unmount it with --lazy", directory);
    return fail_errno(errno, "unmount `" + directory + "`");
  }
  // The daemon would notice by itself, and may be down.
  (void)admin(options.state_directory, "POST", "/fs/unmount?mount=" + percent_encode(found->id));
  if (options.json) {
    fmt::print("{}\n", Json{{"unmounted", directory}}.dump());
  } else {
    fmt::print("{} is unmounted\n", directory);
  }
  return 0;
}

Result<int> fs_mounts(const CommonOptions& options) {
  auto body = daemon_mounts(options.state_directory);
  if (!body) return fail(body.error());
  if (options.json) {
    fmt::print("{}\n", body->at("mounts").dump(2, ' ', false, Json::error_handler_t::replace));
    return 0;
  }
  Table table({"FILE SYSTEM", "ROOT", "AS", "ZONE", "DIRECTORY"});
  for (const Json& mount : body->at("mounts"))
    table.add({mount.value("file_system", ""), mount.value("root", ""),
               mount.value("role", "").empty() ? "anybody" : mount.value("role", ""), mount.value("zone", ""),
               mount.value("directory", "")});
  if (!table.empty()) fmt::print("{}", table.str());
  return 0;
}

void unmount_all(const std::string& state_directory) {
  auto body = daemon_mounts(state_directory);
  auto placed = placed_mounts();
  if (!body || !placed) return;
  for (const Json& mount : body->at("mounts"))
    for (const PlacedMount& there : *placed)
      if (there.id == mount.value("mount", "")) ::umount2(there.directory.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
}

}  // namespace berth::cli

#include "broker/runtime/volumes.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>

#include "broker/runtime/files.hpp"
#include "broker/runtime/mounts.hpp"

namespace berth::runtime {

std::string Volumes::source(const TaskLaunch& task, const Volume& volume) const {
  if (clones_ && volume.kind == Volume::Kind::efs && volume.share)
    if (const int mount = share_.held(volume.share->id); mount >= 0)
      return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(mount);
  return paths_.volume(task.id, volume.name);
}

Result<> Volumes::prepare(const TaskLaunch& task) {
  for (const Volume& volume : task.volumes) {
    const std::string target = paths_.volume(task.id, volume.name);
    if (auto made = make_directories(target); !made) return made;
    switch (volume.kind) {
      case Volume::Kind::scratch: break;
      case Volume::Kind::efs: {
        if (!volume.share) return fail(Code::invalid_argument, "volume `{}` names no file system", volume.name);
        auto mounted = mount_share(*volume.share, target);
        if (!mounted && mounted.error().code == Code::not_found && mounted.error().errno_value == 0 &&
            !volume.root_missing.empty())
          return fail(Code::not_found, "{}", volume.root_missing);
        // EFS's mount helper tries three times for 15 seconds each; the outcome is the same.
        if (!mounted && mounted.error().code == Code::unavailable && volume.share->ends != fuse::zones::Ends{})
          return fail(mounted.error().within(
              "ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: stderr: b'mount.nfs4: "
              "Connection timed out' : unsuccessful EFS utils command execution; code: 32 (berth)"));
        if (!mounted)
          return fail(
              mounted.error().within("ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes"));
        break;
      }
      case Volume::Kind::host: {
        if (auto bound = bind_host(volume.host_path, target); !bound)
          return fail(bound.error().within("CannotCreateVolumeError: volume `" + volume.name + "`"));
        break;
      }
    }
  }
  return {};
}

Result<> Volumes::mount_share(const fuse::MountSpec& spec, const std::string& target) {
  fuse::MountSpec held = spec;
  held.held = true;
  auto mount = share_.mount(held);
  if (!mount) return fail(mount.error());
  if (clones_) return {};
  return place_mount(mount->get(), target);
}

Result<> Volumes::bind_host(const std::string& source, const std::string& target) {
  if (!source.starts_with('/')) return fail(Code::invalid_argument, "host path `{}` is not absolute", source);
  char real[PATH_MAX];
  if (::realpath(source.c_str(), real) == nullptr) return fail_errno(errno, "host path `" + source + "`");
  for (const std::string& refused : refused_)
    if (is_below(real, refused) || is_below(refused, real))
      return fail(Code::permission_denied, "Berth mounts `{}` into no task: it holds or lies in `{}`", source, refused);
  // The tree is taken now: who changes the path later changes nothing for the task.
  const UniqueFd tree(::open_tree(AT_FDCWD, real, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW));
  if (!tree) return fail_errno(errno, "open_tree `" + source + "`");
  return place_mount(tree.get(), target);
}

void Volumes::remove(const TaskLaunch& task) noexcept {
  for (const Volume& volume : task.volumes) {
    detach_mount(paths_.volume(task.id, volume.name));
    if (volume.kind == Volume::Kind::efs && volume.share) share_.detach(volume.share->id);
  }
}

}  // namespace berth::runtime

#include "broker/runtime/root_file_system.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>

#include "broker/base/log.hpp"
#include "broker/base/unique_fd.hpp"
#include "broker/runtime/files.hpp"
#include "broker/runtime/oci_layout.hpp"

namespace berth::runtime {
namespace {

// An overlay's options fit in one page: long paths go in as /proc/self/fd/N.
class LayerList {
 public:
  Result<> add(const std::string& path) {
    UniqueFd fd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!fd) return fail_errno(errno, "open layer `" + path + "`");
    if (!text_.empty()) text_ += ':';
    text_ += "/proc/self/fd/" + std::to_string(fd.get());
    descriptors_.push_back(std::move(fd));
    return {};
  }
  const std::string& text() const { return text_; }

 private:
  std::vector<UniqueFd> descriptors_;
  std::string text_;
};

Result<> mount_with_upper(const LayerList& lower, const std::string& directory, const std::string& target) {
  const std::string upper = directory + "/upper", work = directory + "/work";
  for (const std::string& path : {upper, work})
    if (auto made = make_directories(path); !made) return made;
  // volatile: what dies with the container needs no sync to disk.
  return mount_at(
      "berth", target, "overlay", 0,
      "lowerdir=" + lower.text() + ",upperdir=" + overlay_escaped(upper) + ",workdir=" + overlay_escaped(work) + ",volatile");
}

}  // namespace

Result<std::unique_ptr<RootFileSystems>> RootFileSystems::open(const Paths& paths, const std::vector<std::string>& hidden_paths) {
  std::unique_ptr<RootFileSystems> result(new RootFileSystems(paths));
  for (const std::string& path : {paths.scratch(), paths.images()})
    if (auto made = make_directories(path, 0700); !made) return fail(made.error());
  // A daemon before this one may have left containers that still use its layer. Their overlays hold it by themselves; what stays
  // mounted here would pile up with every crash.
  detach_mount(paths.scratch());
  const std::string layer = paths.scratch() + "/cover";
  if (auto mounted = mount_at("tmpfs", paths.scratch(), "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700"); !mounted)
    return fail(mounted.error());
  auto cover = make_host_cover(layer, hidden_paths);
  if (!cover) return fail(cover.error().within("hide the host's secrets"));
  result->cover_ = std::move(*cover);
  result->hidden_paths_ = hidden_paths;
  return result;
}

// A directory of the host is no way around what `host` hides: neither the state directory nor what holds it, nor the kernel's.
Result<std::string> RootFileSystems::checked_directory(const std::string& path) const {
  char real[PATH_MAX];
  if (::realpath(path.c_str(), real) == nullptr) return fail_errno(errno, "`" + path + "`");
  for (const std::string& hidden : hidden_paths_)
    if (is_below(real, hidden) || is_below(hidden, real))
      return fail(Code::permission_denied, "`{}` is no image: it holds or lies in `{}`", path, hidden);
  for (const char* secret : {"/proc", "/sys", "/dev", "/run", "/etc", "/boot", "/var/log", "/var/spool", "/var/backups"})
    if (is_below(real, secret)) return fail(Code::permission_denied, "`{}` is no image: it lies in `{}`", path, secret);
  for (const char* secret : {"/root", "/home", "/etc"})
    if (is_below(secret, real))
      return fail(Code::permission_denied, "`{}` is no image: it holds `{}`; use `host` for the host's root", path, secret);
  return std::string(real);
}

Result<> RootFileSystems::mount_overlay(const std::vector<std::string>& layers, const std::string& bundle) {
  const std::string target = bundle + "/rootfs", disk = bundle + "/layer", memory = bundle + "/scratch";
  if (auto made = make_directories(target); !made) return made;
  LayerList lower;
  for (const std::string& layer : layers)
    if (auto added = lower.add(layer); !added) return added;
  // The upper layer belongs on the state directory's disk, but may lie neither inside a lower layer (ELOOP: the state directory
  // is somewhere on the host's root) nor on some file systems: then it lies in memory, counted in the container's limit.
  if (layers.back() != "/" && mount_with_upper(lower, disk, target)) return {};
  if (auto made = make_directories(memory, 0700); !made) return made;
  if (auto mounted = mount_at("tmpfs", memory, "tmpfs", 0, "mode=0755"); !mounted) return mounted;
  return mount_with_upper(lower, memory, target);
}

Result<RootFileSystems::Prepared> RootFileSystems::prepare(const std::string& image, const std::string& bundle) {
  auto reference = parse_image(image);
  if (!reference) return fail(reference.error());
  Prepared prepared{bundle + "/rootfs", {}};
  std::vector<std::string> layers;
  switch (reference->kind) {
    case ImageReference::Kind::host: layers = {cover_.layer, "/"}; break;
    case ImageReference::Kind::directory: {
      auto directory = checked_directory(reference->path);
      if (!directory) return fail(directory.error().within("CannotPullContainerError"));
      layers = {std::move(*directory)};
      break;
    }
    case ImageReference::Kind::oci_layout: {
      // What a task wrote to its share would else be an image, unpacked by us.
      auto directory = checked_directory(reference->path);
      if (!directory) return fail(directory.error().within("CannotPullContainerError"));
      reference->path = std::move(*directory);
      const std::lock_guard lock(unpacking_);
      auto unpacked = unpack_layout(*reference, paths_.images());
      if (!unpacked) return fail(unpacked.error().within("CannotPullContainerError"));
      layers = std::move(unpacked->layers);
      prepared.image = std::move(unpacked->config);
      break;
    }
  }
  auto mounted = mount_overlay(layers, bundle);
  if (!mounted) return fail(mounted.error().within("CannotCreateContainerError: root file system"));
  if (reference->kind == ImageReference::Kind::host)
    for (const std::string& path : cover_.bound_mounts) {
      if (auto bound = mount_at(path.c_str(), prepared.path + path, nullptr, MS_BIND); !bound) {
        log::warning("a file system of the host is missing in the image", {{"path", path}, {"why", bound.error().message}});
        continue;
      }
      (void)mount_at(nullptr, prepared.path + path, nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY);
    }
  return prepared;
}

void RootFileSystems::remove(const std::string& bundle) noexcept {
  detach_mount(bundle + "/rootfs");
  detach_mount(bundle + "/scratch");
}

void RootFileSystems::close() noexcept { detach_mount(paths_.scratch()); }

}  // namespace berth::runtime

#include "broker/runtime/host_cover.hpp"

#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <set>
#include <string_view>

#include "broker/base/unique_fd.hpp"
#include "broker/runtime/files.hpp"

namespace berth::runtime {
namespace {

// Real paths of those that exist, patterns expanded.
std::set<std::string> existing(const std::vector<std::string>& patterns) {
  std::set<std::string> found;
  for (const std::string& pattern : patterns) {
    glob_t matches{};
    if (::glob(pattern.c_str(), GLOB_NOSORT, nullptr, &matches) == 0) {
      for (std::size_t i = 0; i < matches.gl_pathc; ++i) {
        char real[PATH_MAX];
        if (::realpath(matches.gl_pathv[i], real) != nullptr && std::string_view(real) != "/") found.insert(real);
      }
    }
    ::globfree(&matches);
  }
  return found;
}

// A directory of the layer looks like the host's: overlayfs takes owner and mode of a merged directory from the highest layer.
Result<> copy_attributes(const std::string& from, const std::string& to) {
  struct stat info{};
  if (::stat(from.c_str(), &info) != 0) return fail_errno(errno, "stat `" + from + "`");
  if (::chown(to.c_str(), info.st_uid, info.st_gid) != 0) return fail_errno(errno, "chown `" + to + "`");
  if (::chmod(to.c_str(), info.st_mode & 07777) != 0) return fail_errno(errno, "chmod `" + to + "`");
  return {};
}

Result<> make_parents(const std::string& layer, const std::string& path) {
  for (std::size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash);
    if (::mkdir((layer + part).c_str(), 0755) != 0) {
      if (errno == EEXIST) continue;
      return fail_errno(errno, "make `" + layer + part + "`");
    }
    if (auto copied = copy_attributes(part, layer + part); !copied) return copied;
  }
  return {};
}

Result<> hide(const std::string& layer, const std::string& path) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0) return errno == ENOENT ? Result<>() : Result<>(fail_errno(errno, "stat `" + path + "`"));
  if (auto made = make_parents(layer, path); !made) return made;
  const std::string covered = layer + path;
  if (!S_ISDIR(info.st_mode)) {
    if (auto written = write_file(covered, ""); !written) return written;
    return copy_attributes(path, covered);
  }
  if (::mkdir(covered.c_str(), 0755) != 0 && errno != EEXIST) return fail_errno(errno, "make `" + covered + "`");
  if (::setxattr(covered.c_str(), "trusted.overlay.opaque", "y", 1, 0) != 0) return fail_errno(errno, "hide `" + path + "`");
  return copy_attributes(path, covered);
}

// File systems that hold files of their own, as opposed to the kernel's views and to what is served by other programs.
bool holds_programs(const std::string& type) {
  constexpr std::array<std::string_view, 9> kTypes{"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "squashfs", "erofs"};
  return std::find(kTypes.begin(), kTypes.end(), type) != kTypes.end();
}

}  // namespace

std::vector<std::string> hidden_by_default() {
  return {// people's and the machine's secrets
          "/root", "/home", "/etc/shadow*", "/etc/gshadow*", "/etc/sudoers*", "/etc/security/opasswd", "/etc/ssh/ssh_host_*",
          "/etc/ssl/private", "/etc/letsencrypt", "/etc/krb5.keytab", "/etc/wireguard", "/etc/ipsec.*", "/etc/NetworkManager",
          "/etc/kubernetes", "/etc/rancher", "/etc/docker", "/etc/containers", "/etc/boto.cfg", "/etc/aws", "/etc/ecs",
          // sockets and state of engines and agents
          "/run", "/var/run", "/var/lib/docker", "/var/lib/containers", "/var/lib/containerd", "/var/lib/kubelet",
          "/var/lib/rancher", "/var/lib/cloud", "/var/lib/amazon", "/var/lib/ecs", "/var/lib/sss", "/var/lib/private",
          // other programs' data
          "/tmp", "/var/tmp", "/var/log", "/var/backups", "/var/spool", "/var/mail", "/var/cache/private", "/boot", "/mnt",
          "/media", "/lost+found", "/swapfile", "/swap.img"};
}

MountPlan plan_mounts(const std::vector<MountEntry>& mounts) {
  constexpr std::array<std::string_view, 9> kShown{"/usr",   "/opt",   "/bin", "/sbin",   "/lib",
                                                   "/lib32", "/lib64", "/nix", "/var/lib"};
  MountPlan plan;
  for (const MountEntry& mount : mounts) {
    if (mount.mount_point == "/") continue;
    const bool shown =
        std::any_of(kShown.begin(), kShown.end(), [&](std::string_view root) { return is_below(mount.mount_point, root); });
    if (shown && holds_programs(mount.type) && mount.mount_point != "/var/lib") {
      plan.bind.push_back(mount.mount_point);
    } else {
      plan.hide.push_back(mount.mount_point);
    }
  }
  return plan;
}

Result<HostCover> make_host_cover(const std::string& layer, const std::vector<std::string>& hidden_paths) {
  auto mounts = mount_table();
  if (!mounts) return fail(mounts.error());
  MountPlan plan = plan_mounts(*mounts);
  // What the container gets anew anyway needs no cover; looking at mounts below it could hang (network and FUSE file systems).
  std::erase_if(plan.hide, [](const std::string& path) {
    return is_below(path, "/proc") || is_below(path, "/sys") || is_below(path, "/dev");
  });

  std::vector<std::string> patterns = hidden_by_default();
  patterns.insert(patterns.end(), hidden_paths.begin(), hidden_paths.end());
  std::set<std::string> paths = existing(patterns);
  const std::set<std::string> roots = paths;
  for (const std::string& path : plan.hide) {
    const auto covers = [&](const std::string& root) { return is_below(path, root); };
    if (std::none_of(roots.begin(), roots.end(), covers)) paths.insert(path);
  }
  HostCover cover{layer, {}};
  if (auto made = make_directories(layer); !made) return fail(made.error());
  if (auto copied = copy_attributes("/", layer); !copied) return fail(copied.error());
  std::vector<std::string> hidden;
  for (const std::string& path : paths) {  // sorted: a directory comes before what lies in it
    const auto covers = [&](const std::string& above) { return is_below(path, above); };
    if (std::any_of(hidden.begin(), hidden.end(), covers)) continue;
    if (auto done = hide(layer, path); !done) return fail(done.error());
    hidden.push_back(path);
  }
  for (const std::string& path : plan.bind) {
    const auto covers = [&](const std::string& above) { return is_below(path, above); };
    if (std::none_of(hidden.begin(), hidden.end(), covers)) cover.bound_mounts.push_back(path);
  }
  return cover;
}

}  // namespace berth::runtime

#include "broker/runtime/bundle.hpp"

#include <sys/resource.h>

#include <algorithm>

#include "broker/runtime/files.hpp"
#include "broker/runtime/oci_config.hpp"
#include "broker/runtime/user.hpp"

namespace berth::runtime {
namespace {

constexpr const char* kInitInside = "/sbin/docker-init";
constexpr const char* kCannotCreate = "CannotCreateContainerError";

std::uint64_t open_files_max() {
  rlimit limit{};
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_max : 0;
}

std::string hostname_of(const TaskLaunch& task, const Container& container) {
  if (!container.hostname.empty()) return container.hostname;
  return task.hostname.empty() ? task.id.str().substr(0, 12) : task.hostname;
}

// The files that Docker binds over the image's own.
Result<std::vector<BindMount>> task_files(const std::string& bundle, const TaskLaunch& task, const std::string& hostname) {
  const std::string address = task.interface ? task.interface->address : std::string();
  const std::pair<const char*, std::string> files[] = {
      {"hosts", hosts_file(hostname, address)},
      {"hostname", hostname + "\n"},
      // No name server: a lookup then fails at once at 127.0.0.1 and not after a time limit.
      {"resolv.conf", "# Berth's VPC has no name server yet\n"},
  };
  std::vector<BindMount> binds;
  for (const auto& [name, text] : files) {
    const std::string path = bundle + "/" + name;
    if (auto written = write_file(path, text); !written) return fail(written.error());
    binds.push_back({path, std::string("/etc/") + name});
  }
  return binds;
}

Result<> add_volumes(const Machine& machine, const TaskLaunch& task, const Container& container, std::vector<BindMount>& binds) {
  for (const MountPoint& mount : container.mount_points) {
    const auto volume = std::ranges::find(task.volumes, mount.volume, &Volume::name);
    if (volume == task.volumes.end())
      return fail(Code::invalid_argument, "{}: mount point names volume `{}`, which the task doesn't have", kCannotCreate,
                  mount.volume);
    if (!mount.container_path.starts_with('/'))
      return fail(Code::invalid_argument, "{}: mount point `{}` is not absolute", kCannotCreate, mount.container_path);
    binds.push_back(
        {machine.volumes.source(task, *volume), mount.container_path, mount.read_only, volume->kind != Volume::Kind::efs});
  }
  return {};
}

}  // namespace

std::string runtime_id(const TaskId& task, const std::string& container) { return task.str() + "-" + container; }

std::string hosts_file(const std::string& hostname, const std::string& address) {
  std::string text = "127.0.0.1 localhost\n";
  if (!address.empty()) text += address + " " + hostname + "\n";
  return text;
}

Result<> make_bundle(const Machine& machine, const TaskLaunch& task, const Container& container) {
  const std::string bundle = machine.paths.bundle(task.id, container.name);
  if (auto made = make_directories(bundle, 0700); !made) return made;
  auto root = machine.roots.prepare(container.image, bundle);
  if (!root) return fail(root.error());
  auto user = resolve_user(container.user.empty() ? root->image.user : container.user, root->path);
  if (!user) return fail(user.error().within(kCannotCreate));

  Container changed = container;
  BundleSpec spec;
  spec.image = std::move(root->image);
  spec.user = std::move(*user);
  spec.root_path = root->path;
  spec.network_namespace = machine.paths.network_namespace(task.id.str());
  spec.cgroup_path = machine.cgroups.container_path(task.id, container.name);
  spec.hostname = hostname_of(task, container);
  spec.open_files_max = open_files_max();
  spec.limit_swap = machine.cgroups.swap_limit();
  auto files = task_files(bundle, task, spec.hostname);
  if (!files) return fail(files.error());
  spec.binds = std::move(*files);
  if (auto added = add_volumes(machine, task, container, spec.binds); !added) return added;
  if (container.init) {
    if (machine.init_program.empty())
      return fail(Code::unavailable, "{}: initProcessEnabled needs docker-init, catatonit or tini-static on this machine",
                  kCannotCreate);
    spec.binds.push_back({machine.init_program, kInitInside, true});
    changed.entry_point = {kInitInside, "--"};
    changed.command = container_arguments(container, spec.image);
  }
  spec.container = &changed;
  auto config = oci_config(spec);
  if (!config) return fail(config.error().within(kCannotCreate));
  return write_file(bundle + "/config.json", *config, 0600);
}

void remove_bundle(const Machine& machine, const TaskId& task, const std::string& container) noexcept {
  machine.roots.remove(machine.paths.bundle(task, container));
}

}  // namespace berth::runtime

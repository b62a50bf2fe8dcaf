#include "broker/runtime/probe.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <future>
#include <memory>

#include "broker/base/log.hpp"
#include "broker/runtime/bundle.hpp"
#include "broker/runtime/files.hpp"
#include "broker/runtime/network_namespace.hpp"
#include "broker/runtime/process.hpp"

namespace berth::runtime {
namespace {

constexpr auto kProbeTimeout = std::chrono::seconds(20);

TaskLaunch probe_task() {
  Container container;
  container.name = "probe";
  container.image = "host";
  container.command = {"/bin/true"};
  container.cpu = 128;
  container.memory_mib = 64;
  TaskLaunch task;
  task.id = TaskId("probe");
  task.network = NetworkMode::none;
  task.containers = {container};
  task.cpu = 256;
  task.memory_mib = 128;
  return task;
}

Result<> run_probe(const Machine& machine, const OciRuntime& oci, const TaskLaunch& task) {
  const Container& container = task.containers.front();
  const std::string id = runtime_id(task.id, container.name), bundle = machine.paths.bundle(task.id, container.name);
  if (auto made = make_directories(machine.paths.task(task.id), 0700); !made) return made;
  if (auto made = machine.cgroups.create(task.id, task.cpu, task.memory_mib); !made) return made;
  if (auto made = make_network_namespace(machine.paths.network_namespace(task.id.str())); !made) return made;
  if (auto made = make_bundle(machine, task, container); !made) return made;
  const UniqueFd nowhere(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  auto pid = oci.create(id, bundle, nowhere.get(), nowhere.get());
  if (!pid) return fail(pid.error());
  auto ended = std::make_shared<std::promise<int>>();
  auto status = ended->get_future();
  machine.exits.watch(*pid, [ended](int wait_status, TimePoint) { ended->set_value(wait_status); });
  if (auto begun = oci.start(id, bundle); !begun) return begun;
  if (status.wait_for(kProbeTimeout) != std::future_status::ready) return fail(Code::unavailable, "the container did not end");
  if (const int code = exit_code_of(status.get()); code != 0)
    return fail(Code::failed_precondition, "the container ended with {}", code);
  return {};
}

Result<> probe(const Machine& machine, const OciRuntime& oci) {
  const TaskLaunch task = probe_task();
  const std::string& container = task.containers.front().name;
  const auto clean = [&] {
    oci.remove(runtime_id(task.id, container));
    remove_bundle(machine, task.id, container);
    drop_network_namespace(machine.paths.network_namespace(task.id.str()));
    machine.cgroups.end(task.id);
    (void)remove_tree(machine.paths.task(task.id));
  };
  clean();  // of a daemon that died while it tried
  auto result = run_probe(machine, oci, task);
  clean();
  return result;
}

}  // namespace

Result<FoundRuntime> find_oci_runtime(const Machine& machine) {
  std::string reasons;
  for (const char* name : kOciRuntimes) {
    const OciRuntime oci(name, machine.paths.oci());
    auto version = oci.version();
    const Result<> works = version ? probe(machine, oci) : Result<>(fail(version.error()));
    if (works) {
      log::info("OCI runtime found",
                {{"runtime", *version}, {"cgroups", machine.cgroups.version() == Cgroups::Version::v1 ? "v1" : "v2"}});
      return FoundRuntime{oci, *version};
    }
    log::info("OCI runtime does not work here", {{"runtime", name}, {"why", works.error().message}});
    reasons += fmt::format("; {}: {}", name, works.error().message);
  }
  return fail(Code::unavailable, "no OCI runtime works on this machine: install runc or crun{}", reasons);
}

std::string find_init_program() {
  for (const char* path : {"/usr/bin/docker-init", "/usr/libexec/docker/docker-init", "/usr/bin/catatonit",
                           "/usr/libexec/podman/catatonit", "/usr/bin/tini-static"})
    if (::access(path, X_OK) == 0) return path;
  return {};
}

}  // namespace berth::runtime

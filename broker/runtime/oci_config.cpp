#include "broker/runtime/oci_config.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>

#include "broker/runtime/capabilities.hpp"
#include "broker/runtime/seccomp_profile.hpp"

namespace berth::runtime {
namespace {

using nlohmann::json;

constexpr const char* kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr unsigned kSharesMin = 2;               // the kernel's; what the ECS agent gives for `cpu` 0
constexpr std::int64_t kProcessesMax = 4096;     // a fork bomb stays in its task
constexpr std::uint64_t kOpenFilesMax = 65'535;  // Fargate's

json mounts(const BundleSpec& spec) {
  json list = json::array({
      {{"destination", "/proc"}, {"type", "proc"}, {"source", "proc"}, {"options", {"nosuid", "noexec", "nodev"}}},
      {{"destination", "/dev"},
       {"type", "tmpfs"},
       {"source", "tmpfs"},
       {"options", {"nosuid", "strictatime", "mode=755", "size=65536k"}}},
      {{"destination", "/dev/pts"},
       {"type", "devpts"},
       {"source", "devpts"},
       {"options", {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}}},
      {{"destination", "/sys"}, {"type", "sysfs"}, {"source", "sysfs"}, {"options", {"nosuid", "noexec", "nodev", "ro"}}},
      {{"destination", "/sys/fs/cgroup"},
       {"type", "cgroup"},
       {"source", "cgroup"},
       {"options", {"nosuid", "noexec", "nodev", "ro"}}},
      {{"destination", "/dev/mqueue"}, {"type", "mqueue"}, {"source", "mqueue"}, {"options", {"nosuid", "noexec", "nodev"}}},
      {{"destination", "/dev/shm"},
       {"type", "tmpfs"},
       {"source", "shm"},
       {"options", {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}}},
  });
  for (const BindMount& bind : spec.binds) {
    json options{"rbind", bind.read_only ? "ro" : "rw", "rprivate"};
    // Said again here: OCI runtimes set the flags of a bind anew, and what they aren't told of is lost.
    if (!bind.devices) options.push_back("nodev");
    list.push_back({{"destination", bind.destination}, {"type", "bind"}, {"source", bind.source}, {"options", options}});
  }
  return list;
}

json environment(const BundleSpec& spec) {
  std::map<std::string, std::string> values{{"PATH", kDefaultPath}, {"HOSTNAME", spec.hostname}};
  if (!spec.user.home.empty()) values["HOME"] = spec.user.home;
  for (const auto& [name, value] : spec.image.environment) values[name] = value;
  for (const auto& [name, value] : spec.container->environment) values[name] = value;
  json list = json::array();
  for (const auto& [name, value] : values) list.push_back(name + "=" + value);
  return list;
}

json limits(const BundleSpec& spec) {
  json list = json::array();
  std::set<std::string> named;
  for (const Ulimit& limit : spec.container->ulimits) {
    std::string type = "RLIMIT_" + limit.name;
    std::transform(type.begin(), type.end(), type.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    named.insert(type);
    list.push_back({{"type", type}, {"soft", limit.soft}, {"hard", limit.hard}});
  }
  const std::uint64_t files = std::min(spec.open_files_max, kOpenFilesMax);
  if (!named.contains("RLIMIT_NOFILE") && files > 0)
    list.push_back({{"type", "RLIMIT_NOFILE"}, {"soft", files}, {"hard", files}});
  return list;
}

json process(const BundleSpec& spec, const std::vector<std::string>& arguments, const std::vector<std::string>& capabilities) {
  const Container& container = *spec.container;
  std::string directory = container.working_directory.empty() ? spec.image.working_directory : container.working_directory;
  if (directory.empty()) directory = "/";
  json user{{"uid", spec.user.uid}, {"gid", spec.user.gid}};
  if (!spec.user.additional_gids.empty()) user["additionalGids"] = spec.user.additional_gids;
  // Docker gives the ambient and inheritable sets nothing; a user other than root has the bounding set only, by the kernel's
  // rules.
  const json sets = spec.user.uid == 0 ? json(capabilities) : json::array();
  return {{"terminal", false},       {"user", user},
          {"args", arguments},       {"env", environment(spec)},
          {"cwd", directory},        {"capabilities", {{"bounding", capabilities}, {"effective", sets}, {"permitted", sets}}},
          {"rlimits", limits(spec)}, {"oomScoreAdj", 0},
          {"noNewPrivileges", false}};
}

json resources(const BundleSpec& spec) {
  const Container& container = *spec.container;
  json result{{"devices", json::array({{{"allow", false}, {"access", "rwm"}}})},  // the OCI runtime adds the default devices
              {"pids", {{"limit", kProcessesMax}}},
              {"cpu", {{"shares", std::max(container.cpu.value_or(0), kSharesMin)}}}};
  json memory = json::object();
  if (container.memory_mib) {
    const std::int64_t bytes = std::int64_t{*container.memory_mib} << 20;
    memory["limit"] = bytes;
    if (spec.limit_swap) memory["swap"] = bytes;
  }
  if (container.memory_reservation_mib) memory["reservation"] = std::int64_t{*container.memory_reservation_mib} << 20;
  if (!memory.empty()) result["memory"] = memory;
  return result;
}

json linux_part(const BundleSpec& spec, const std::vector<std::string>& capabilities) {
  return {
      {"cgroupsPath", spec.cgroup_path},
      {"namespaces", json::array({{{"type", "pid"}},
                                  {{"type", "ipc"}},
                                  {{"type", "uts"}},
                                  {{"type", "mount"}},
                                  {{"type", "cgroup"}},
                                  {{"type", "network"}, {"path", spec.network_namespace}}})},
      {"resources", resources(spec)},
      {"seccomp", seccomp_profile(capabilities)},
      {"maskedPaths",
       {"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug",
        "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware"}},
      {"readonlyPaths", {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}}};
}

}  // namespace

std::vector<std::string> container_arguments(const Container& container, const ImageConfig& image) {
  std::vector<std::string> arguments = container.entry_point.empty() ? image.entry_point : container.entry_point;
  std::vector<std::string> command = container.command;
  // An entry point of the container's own replaces the image's command too.
  if (command.empty() && container.entry_point.empty()) command = image.command;
  arguments.insert(arguments.end(), command.begin(), command.end());
  return arguments;
}

Result<std::string> oci_config(const BundleSpec& spec) {
  const Container& container = *spec.container;
  if (container.privileged) return fail(Code::permission_denied, "Berth runs no privileged containers");
  auto capabilities = container_capabilities(container.add_capabilities, container.drop_capabilities);
  if (!capabilities) return fail(capabilities.error());
  const std::vector<std::string> arguments = container_arguments(container, spec.image);
  if (arguments.empty()) return fail(Code::invalid_argument, "no command specified");
  const json config{{"ociVersion", "1.0.2"},
                    {"process", process(spec, arguments, *capabilities)},
                    {"root", {{"path", spec.root_path}, {"readonly", container.read_only_root}}},
                    {"hostname", spec.hostname},
                    {"mounts", mounts(spec)},
                    {"linux", linux_part(spec, *capabilities)}};
  // Text from outside may not be UTF-8: replaced, not thrown at.
  return config.dump(2, ' ', false, json::error_handler_t::replace);
}

}  // namespace berth::runtime

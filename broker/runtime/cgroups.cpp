#include "broker/runtime/cgroups.hpp"

#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <set>
#include <sstream>
#include <thread>

#include "broker/runtime/files.hpp"

namespace berth::runtime {
namespace {

constexpr unsigned kPeriodUs = 100'000;
constexpr unsigned kUnitsPerCpu = 1024;
constexpr auto kKillRound = std::chrono::milliseconds(5);
constexpr int kKillRoundsMax = 400;

std::vector<std::string> subdirectories(const std::string& path) {
  std::vector<std::string> names;
  DIR* directory = ::opendir(path.c_str());
  if (directory == nullptr) return names;
  while (const dirent* entry = ::readdir(directory))
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  ::closedir(directory);
  return names;
}

// Groups hold files that can't be removed: only the directories go, from below.
void remove_groups(const std::string& path) {
  for (const std::string& name : subdirectories(path)) remove_groups(path + "/" + name);
  ::rmdir(path.c_str());
}

void processes_below(const std::string& path, std::set<pid_t>& found) {
  if (auto text = read_file(path + "/cgroup.procs")) {
    std::istringstream lines(*text);
    for (pid_t pid = 0; lines >> pid;)
      if (pid > 1) found.insert(pid);
  }
  for (const std::string& name : subdirectories(path)) processes_below(path + "/" + name, found);
}

// `name` of a file with lines `name value`.
unsigned long value_in(const std::string& text, const std::string& name) {
  std::istringstream lines(text);
  std::string key;
  for (unsigned long value = 0; lines >> key >> value;)
    if (key == name) return value;
  return 0;
}

Result<> make_group(const std::string& path) {
  if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return fail_errno(errno, "make cgroup `" + path + "`");
  return {};
}

}  // namespace

Result<Cgroups> Cgroups::find(const std::vector<MountEntry>& mounts, const std::string& run_name) {
  Cgroups cgroups;
  cgroups.run_name_ = run_name;
  std::string unified;
  std::set<std::string> seen;
  for (const MountEntry& mount : mounts) {
    if (!seen.insert(mount.mount_point).second) continue;
    if (mount.type == "cgroup2" && unified.empty()) unified = mount.mount_point;
    if (mount.type == "cgroup") cgroups.hierarchies_.push_back({mount.mount_point, "," + mount.super_options + ","});
  }
  const bool v1 = !cgroups.root_of("memory").empty() && !cgroups.root_of("cpu").empty();
  cgroups.version_ = v1 ? Version::v1 : Version::v2;
  if (!v1 && unified.empty())
    return fail(Code::unavailable,
                "no cgroup hierarchy with the cpu and memory controllers is mounted; mount cgroup2 at /sys/fs/cgroup");
  // In a hybrid host the OCI runtimes make their groups in the unified hierarchy too: it has to be tidied as well.
  if (!unified.empty()) cgroups.hierarchies_.push_back({unified, ",unified,"});
  cgroups.swap_limit_ = v1 && ::access((cgroups.root_of("memory") + "/memory.memsw.limit_in_bytes").c_str(), F_OK) == 0;
  return cgroups;
}

std::string Cgroups::root_of(const std::string& controller) const {
  for (const Hierarchy& hierarchy : hierarchies_)
    if (hierarchy.controllers.find("," + controller + ",") != std::string::npos) return hierarchy.path;
  return {};
}

std::string Cgroups::container_path(const TaskId& task, const std::string& container) const {
  return "/" + run_name_ + "/" + task.str() + "/" + container;
}

std::string Cgroups::directory(const std::string& controller, const TaskId& task, const std::string& container) const {
  const std::string root = root_of(version_ == Version::v1 ? controller : "unified");
  return root + "/" + run_name_ + "/" + task.str() + (container.empty() ? "" : "/" + container);
}

Result<> Cgroups::create(const TaskId& task, std::optional<unsigned> cpu, std::optional<unsigned> memory_mib) const {
  return version_ == Version::v1 ? limit_v1(task, cpu, memory_mib) : limit_v2(task, cpu, memory_mib);
}

Result<> Cgroups::limit_v1(const TaskId& task, std::optional<unsigned> cpu, std::optional<unsigned> memory_mib) const {
  for (const char* controller : {"cpu", "memory"}) {
    const std::string root = root_of(controller);
    if (auto made = make_group(root + "/" + run_name_); !made) return made;
    if (auto made = make_group(directory(controller, task)); !made) return made;
  }
  if (cpu && *cpu > 0) {
    const std::string group = directory("cpu", task);
    if (auto set = write_control(group + "/cpu.cfs_period_us", std::to_string(kPeriodUs)); !set) return set;
    const unsigned long quota = static_cast<unsigned long>(*cpu) * kPeriodUs / kUnitsPerCpu;
    if (auto set = write_control(group + "/cpu.cfs_quota_us", std::to_string(std::max(quota, 1000UL))); !set) return set;
    if (auto set = write_control(group + "/cpu.shares", std::to_string(std::max(*cpu, 2U))); !set) return set;
  }
  if (memory_mib && *memory_mib > 0) {
    const std::string group = directory("memory", task);
    const std::string bytes = std::to_string(std::uint64_t{*memory_mib} << 20);
    if (auto set = write_control(group + "/memory.limit_in_bytes", bytes); !set) return set;
    // No swap beyond the limit, as on Fargate.
    if (swap_limit_)
      if (auto set = write_control(group + "/memory.memsw.limit_in_bytes", bytes); !set) return set;
  }
  return {};
}

Result<> Cgroups::limit_v2(const TaskId& task, std::optional<unsigned> cpu, std::optional<unsigned> memory_mib) const {
  const std::string root = root_of("unified");
  const std::string run = root + "/" + run_name_;
  const std::string group = run + "/" + task.str();
  // Controllers are handed down level by level, before the level below is made.
  for (const std::string& level : {root, run, group}) {
    if (level != root)
      if (auto made = make_group(level); !made) return made;
    for (const char* controller : {"+cpu", "+memory", "+pids"})
      if (auto set = write_control(level + "/cgroup.subtree_control", controller); !set) return set;
  }
  if (cpu && *cpu > 0) {
    const unsigned long quota = std::max(static_cast<unsigned long>(*cpu) * kPeriodUs / kUnitsPerCpu, 1000UL);
    if (auto set = write_control(group + "/cpu.max", fmt::format("{} {}", quota, kPeriodUs)); !set) return set;
  }
  if (memory_mib && *memory_mib > 0) {
    if (auto set = write_control(group + "/memory.max", std::to_string(std::uint64_t{*memory_mib} << 20)); !set) return set;
    (void)write_control(group + "/memory.swap.max", "0");  // missing where the kernel has no swap
  }
  return {};
}

bool Cgroups::holds(const TaskId& task, const std::string& container, pid_t pid) const {
  std::istringstream lines(read_file("/proc/" + std::to_string(pid) + "/cgroup").value_or(""));
  const std::string path = container_path(task, container);
  for (std::string line; std::getline(lines, line);)
    if (line.ends_with(path)) return true;
  return false;
}

unsigned Cgroups::memory_kills(const TaskId& task, const std::string& container) const {
  const std::string file = version_ == Version::v1 ? "/memory.oom_control" : "/memory.events";
  auto text = read_file(directory("memory", task, container) + file);
  return text ? static_cast<unsigned>(value_in(*text, "oom_kill")) : 0;
}

bool Cgroups::kill(const TaskId& task) const {
  std::set<pid_t> found;
  for (const Hierarchy& hierarchy : hierarchies_) processes_below(group(hierarchy, task), found);
  for (const pid_t pid : found)
    if (pid != ::getpid()) ::kill(pid, SIGKILL);
  return found.empty();
}

void Cgroups::end(const TaskId& task) const {
  // A killed process leaves its group when it is gone; one in an uninterruptible wait may never.
  for (int round = 0; !kill(task) && round < kKillRoundsMax; ++round) std::this_thread::sleep_for(kKillRound);
  for (const Hierarchy& hierarchy : hierarchies_) remove_groups(group(hierarchy, task));
}

std::vector<TaskId> Cgroups::tasks() const {
  std::set<std::string> names;
  for (const Hierarchy& hierarchy : hierarchies_)
    for (std::string& name : subdirectories(hierarchy.path + "/" + run_name_)) names.insert(std::move(name));
  return {names.begin(), names.end()};
}

void Cgroups::remove_root() const {
  for (const Hierarchy& hierarchy : hierarchies_) ::rmdir((hierarchy.path + "/" + run_name_).c_str());
}

}  // namespace berth::runtime

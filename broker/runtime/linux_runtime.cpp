#include "broker/runtime/linux_runtime.hpp"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <set>

#include "broker/base/log.hpp"
#include "broker/runtime/files.hpp"
#include "broker/runtime/launch_json.hpp"
#include "broker/runtime/network_namespace.hpp"
#include "broker/runtime/probe.hpp"
#include "broker/runtime/probe_memory.hpp"
#include "broker/runtime/task_record.hpp"

namespace berth::runtime {
namespace {

constexpr unsigned kWorkers = 6;
constexpr unsigned kCheckers = 4;

// Names become parts of paths: ECS allows letters, digits, hyphens and underscores, 255 of them.
bool is_name(const std::string& text) {
  const auto allowed = [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_'; };
  return !text.empty() && text.size() <= 255 && std::all_of(text.begin(), text.end(), allowed);
}

Result<> check_names(const TaskLaunch& launch) {
  if (!is_name(launch.id.str()) || launch.id.str().size() > 32)
    return fail(Code::invalid_argument, "task id `{}`", launch.id.str());
  if (launch.containers.empty() || launch.containers.size() > kContainersMax)
    return fail(Code::invalid_argument, "a task needs 1 to {} containers", kContainersMax);
  std::set<std::string> names;
  for (const Container& container : launch.containers)
    if (!is_name(container.name) || !names.insert(container.name).second)
      return fail(Code::invalid_argument, "container name `{}` is wrong or there twice", container.name);
  for (const Volume& volume : launch.volumes)
    if (!is_name(volume.name)) return fail(Code::invalid_argument, "volume name `{}`", volume.name);
  return {};
}

std::vector<std::string> names_in(const std::string& path) {
  std::vector<std::string> names;
  DIR* directory = ::opendir(path.c_str());
  if (directory == nullptr) return names;
  while (const dirent* entry = ::readdir(directory))
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  ::closedir(directory);
  return names;
}

std::string real_path(const std::string& path) {
  char real[PATH_MAX];
  return ::realpath(path.c_str(), real) != nullptr ? std::string(real) : path;
}

Result<> check_host() {
  if (::geteuid() != 0) return fail(Code::permission_denied, "tasks need root: start Berth as root");
  auto mounts = mount_table();
  if (!mounts) return fail(mounts.error());
  for (const MountEntry& mount : *mounts)
    if (mount.shared)
      return fail(Code::failed_precondition, "mount `{}` is shared with the host: the runtime must run below berthd's keeper",
                  mount.mount_point);
  return {};
}

}  // namespace

Result<std::unique_ptr<Runtime>> Runtime::start(const Options& options, fuse::Share& share, Survival& survival, ChildExits& exits,
                                                Handlers handlers) {
  auto runtime = std::make_unique<LinuxRuntime>(options, survival, exits, std::move(handlers));
  if (auto opened = runtime->open(options, share); !opened) return fail(opened.error().within("task runtime"));
  return runtime;
}

LinuxRuntime::LinuxRuntime(const Options& options, Survival& survival, ChildExits& exits, Handlers handlers)
    : paths_(options.state_directory), handlers_(std::move(handlers)), survival_(survival), exits_(exits) {}

Result<> LinuxRuntime::open(const Options& options, fuse::Share& share) {
  if (auto right = check_host(); !right) return right;
  for (const std::string& path : {paths_.root(), paths_.oci(), paths_.tasks()})
    if (auto made = make_directories(path, 0700); !made) return made;
  auto mounts = mount_table();
  if (!mounts) return fail(mounts.error());
  auto cgroups = Cgroups::find(*mounts, options.run_name);
  if (!cgroups) return fail(cgroups.error());
  cgroups_ = std::make_unique<Cgroups>(std::move(*cgroups));

  std::vector<std::string> hidden;
  for (const std::string& path : options.hidden_paths) hidden.push_back(real_path(path));
  hidden.push_back(real_path(options.state_directory));
  auto roots = RootFileSystems::open(paths_, hidden);
  if (!roots) return fail(roots.error());
  roots_ = std::move(*roots);
  std::vector<std::string> refused = hidden;
  // A task that writes to the host's programs, their settings or their data becomes root on the host.
  refused.insert(refused.end(), {"/proc", "/sys",     "/dev",       "/run",     "/root",      "/boot",       "/etc", "/usr",
                                 "/bin",  "/sbin",    "/lib",       "/lib32",   "/lib64",     "/libx32",     "/opt", "/nix",
                                 "/snap", "/var/lib", "/var/spool", "/var/log", "/var/cache", "/var/backups"});
  volumes_ = std::make_unique<Volumes>(paths_, share, std::move(refused));

  auto network = Network::open(paths_, options.front_door_port);
  if (!network) return fail(network.error());
  network_ = std::move(*network);
  auto logs = LogPump::start(clock_);
  if (!logs) return fail(logs.error());
  logs_ = std::move(*logs);
  if (auto found = find_program(); !found) return found;
  pool_ = std::make_shared<WorkPool>(kWorkers);
  checks_ = std::make_shared<WorkPool>(kCheckers);
  return {};
}

// A start is to be short, above all one after a crash: who has tried already is believed while nothing has changed.
Result<> LinuxRuntime::find_program() {
  const std::string fingerprint = probe_fingerprint();
  if (const auto known = recall_probe(paths_.probe_memory(), fingerprint)) {
    oci_ = OciRuntime(known->program, paths_.oci());
    oci_version_ = known->version;
    return {};
  }
  auto found = find_oci_runtime(machine());
  if (!found) return fail(found.error());
  oci_ = found->program;
  oci_version_ = found->version;
  if (auto kept = remember_probe(paths_.probe_memory(), fingerprint, {oci_.program(), oci_version_}); !kept)
    log::warning("the next start will look for an OCI runtime again", {{"why", kept.error().message}});
  return {};
}

LinuxRuntime::~LinuxRuntime() {
  if (checks_) checks_->stop();
  if (pool_) pool_->stop();
  std::map<TaskId, std::shared_ptr<Task>> left;
  {
    const std::lock_guard lock(mutex_);
    left.swap(tasks_);
  }
  if (!left.empty()) return;  // their network and root file systems are in use
  if (network_) network_->close();
  if (roots_) roots_->close();
  if (cgroups_) cgroups_->remove_root();
}

Machine LinuxRuntime::machine() {
  return Machine{paths_, *cgroups_, oci_,      *network_, *roots_, *volumes_, *logs_,
                 pool_,  checks_,   survival_, exits_,    clock_,  handlers_, find_init_program()};
}

Result<> LinuxRuntime::add_subnet(const std::string& gateway, unsigned) { return network_->add_subnet(gateway); }

std::shared_ptr<Task> LinuxRuntime::add(TaskLaunch launch) {
  const TaskId id = launch.id;
  const std::lock_guard lock(mutex_);
  const auto [place, fresh] = tasks_.try_emplace(id);
  if (!fresh) return nullptr;
  place->second = std::make_shared<Task>(machine(), std::move(launch), [this, id] { forget(id); });
  return place->second;
}

void LinuxRuntime::forget(const TaskId& id) {
  std::shared_ptr<Task> last;  // dies outside the lock
  const std::lock_guard lock(mutex_);
  if (const auto found = tasks_.find(id); found != tasks_.end()) {
    last = std::move(found->second);
    tasks_.erase(found);
  }
}

void LinuxRuntime::launch(TaskLaunch launch) {
  const TaskId id = launch.id;
  if (auto right = check_names(launch); !right) {
    pool_->submit([this, id, why = right.error().message] {
      handlers_.report(Report{id, TaskFailedToStart{clock_.now(), "ResourceInitializationError: " + why, ""}});
    });
    return;
  }
  if (const auto task = add(std::move(launch))) {
    task->start();
  } else {
    log::warning("a task is launched twice", {{"task", id.str()}});
  }
}

void LinuxRuntime::stop(const TaskId& id) {
  std::shared_ptr<Task> task;
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = tasks_.find(id); found != tasks_.end()) task = found->second;
  }
  if (task) return task->stop();
  // Whoever asks waits for the end of the task: it has ended.
  pool_->submit([this, id] { handlers_.report(Report{id, TaskStopped{clock_.now(), ""}}); });
}

void LinuxRuntime::adopt(const std::vector<TaskId>& expected) {
  const std::set<TaskId> known(expected.begin(), expected.end());
  std::set<TaskId> all = known;
  for (std::string& name : names_in(paths_.tasks())) all.insert(TaskId(std::move(name)));
  for (TaskId& id : cgroups_->tasks()) all.insert(std::move(id));
  for (const TaskId& id : all) adopt_one(id, known.contains(id));
}

void LinuxRuntime::adopt_one(const TaskId& id, bool known) {
  {
    const std::lock_guard lock(mutex_);
    if (tasks_.contains(id)) return;  // launched by this very daemon
  }
  auto text = read_file(paths_.launch_record(id));
  auto launch = text ? read_launch(*text) : Result<TaskLaunch>(fail(text.error()));
  if (launch && launch->id == id && check_names(*launch)) {
    if (const auto task = add(std::move(*launch))) task->adopt(known);
    return;
  }
  // Nothing of it, or only pieces from before its record was written.
  pool_->submit([this, id, known] {
    if (is_name(id.str())) {
      cgroups_->end(id);
      drop_network_namespace(paths_.network_namespace(id.str()));
      if (auto removed = remove_tree(paths_.task(id)); !removed)
        log::warning("a leftover stays", {{"task", id.str()}, {"why", removed.error().message}});
      remove_task_record(survival_, id);
    }
    if (known) handlers_.report(Report{id, TaskStopped{clock_.now(), "Berth was stopped while the task was starting or ending"}});
  });
}

}  // namespace berth::runtime

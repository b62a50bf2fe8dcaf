#include "tests/kernel_runtime/runtime_fixture.hpp"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <sstream>

#include "broker/base/log.hpp"
#include "broker/runtime/cgroups.hpp"
#include "broker/runtime/files.hpp"
#include "tests/kernel_runtime/orphans.hpp"

namespace berth::runtime::testing {
namespace {

constexpr auto kPatience = std::chrono::seconds(60);
std::string why_not;

// Before any thread: only then does the whole process move.
class PrivateNamespace : public ::testing::Environment {
 public:
  void SetUp() override {
    if (::geteuid() != 0) {
      why_not = "needs root";
    } else if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
      why_not = "can't make a mount namespace";
    }
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    orphans_.start();
  }

 private:
  Orphans orphans_;
};
const ::testing::Environment* const kEnvironment = ::testing::AddGlobalTestEnvironment(new PrivateNamespace);

}  // namespace

Result<UniqueFd> FakeShare::mount(const fuse::MountSpec& spec) {
  if (!failure.empty()) return fail(Code::permission_denied, "{}", failure);
  const UniqueFd context(::fsopen("tmpfs", FSOPEN_CLOEXEC));
  if (!context || ::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) return fail_errno(errno, "tmpfs");
  UniqueFd mount(::fsmount(context.get(), FSMOUNT_CLOEXEC, MOUNT_ATTR_NODEV));
  if (!mount) return fail_errno(errno, "fsmount");
  const std::lock_guard lock(mutex_);
  if (spec.held) held_[spec.id] = UniqueFd(::fcntl(mount.get(), F_DUPFD_CLOEXEC, 3));
  return mount;
}

int FakeShare::held(const fuse::MountId& id) const {
  const std::lock_guard lock(mutex_);
  const auto found = held_.find(id);
  return found == held_.end() ? -1 : found->second.get();
}

void FakeShare::detach(const fuse::MountId& id) {
  const std::lock_guard lock(mutex_);
  detached_.push_back(id.str());
  held_.erase(id);
}

std::vector<std::string> FakeShare::detached() const {
  const std::lock_guard lock(mutex_);
  return detached_;
}

void Reports::add(const Report& report) {
  struct Text {
    std::string operator()(const PullStarted&) const { return "pull started"; }
    std::string operator()(const PullStopped&) const { return "pull stopped"; }
    std::string operator()(const ContainerStarted& e) const { return "started " + e.container; }
    std::string operator()(const ContainerExited& e) const {
      return "exited " + e.container + " " + std::to_string(e.exit_code) + (e.reason.empty() ? "" : " " + e.reason);
    }
    std::string operator()(const TaskRunning&) const { return "running"; }
    std::string operator()(const TaskFailedToStart& e) const { return "failed: " + e.reason; }
    std::string operator()(const TaskStopped& e) const { return e.reason.empty() ? "stopped" : "stopped: " + e.reason; }
    std::string operator()(const HealthChanged& e) const { return "health " + e.container + " " + e.status; }
  };
  const std::lock_guard lock(mutex_);
  if (const auto* started = std::get_if<ContainerStarted>(&report.event))
    pids_[report.task.str() + "/" + started->container] = started->pid;
  texts_[report.task].push_back(std::visit(Text{}, report.event));
  changed_.notify_all();
}

std::string Reports::wait_for(const TaskId& task, const std::string& prefix) {
  std::unique_lock lock(mutex_);
  std::string found;
  const bool seen = changed_.wait_for(lock, kPatience, [&] {
    for (const std::string& text : texts_[task])
      if (text.starts_with(prefix)) found = text;
    return !found.empty();
  });
  EXPECT_TRUE(seen) << "no report `" << prefix << "` of task " << task.str()
                    << "; there are: " << ::testing::PrintToString(texts_[task]);
  return found;
}

std::vector<std::string> Reports::of(const TaskId& task) const {
  const std::lock_guard lock(mutex_);
  const auto found = texts_.find(task);
  return found == texts_.end() ? std::vector<std::string>() : found->second;
}

void Reports::clear() {
  const std::lock_guard lock(mutex_);
  texts_.clear();
  pids_.clear();
}

int Reports::pid_of(const TaskId& task, const std::string& container) const {
  const std::lock_guard lock(mutex_);
  const auto found = pids_.find(task.str() + "/" + container);
  return found == pids_.end() ? -1 : found->second;
}

void RuntimeTest::SetUp() {
  if (!why_not.empty()) {
    if (std::getenv("BERTH_NO_SKIP") != nullptr) FAIL() << why_not;
    GTEST_SKIP() << why_not;
  }
  char directory[] = "/tmp/berth-runtime-XXXXXX";
  ASSERT_NE(::mkdtemp(directory), nullptr);
  state_ = directory;
  run_name_ = "berth-test-" + std::to_string(::getpid());
  log::set_level(std::getenv("BERTH_TEST_LOG") != nullptr ? log::Level::info : log::Level::error);
  start_runtime();
}

void RuntimeTest::start_runtime() {
  exits_ = std::make_unique<PidfdChildExits>();
  exits_->start();
  Runtime::Handlers handlers;
  handlers.report = [this](const Report& report) { reports_.add(report); };
  handlers.listener_opened = [this](const TaskListener& listener) {
    const std::lock_guard lock(listeners_mutex_);
    listeners_[listener.task.str() + " " + listener.purpose] = listener.descriptor;
  };
  handlers.listeners_closing = [](const TaskId&) {};
  auto runtime = Runtime::start({.state_directory = state_, .run_name = run_name_, .hidden_paths = {}}, share_, survival_,
                                *exits_, std::move(handlers));
  ASSERT_TRUE(runtime) << runtime.error().message;
  runtime_ = std::move(*runtime);
}

void RuntimeTest::TearDown() {
  runtime_.reset();
  exits_.reset();
  if (!state_.empty()) {
    const auto removed = remove_tree(state_);
    EXPECT_TRUE(removed) << removed.error().message;
  }
}

TaskLaunch RuntimeTest::shell_task(const std::string& id, const std::string& script) {
  Container container;
  container.name = "app";
  container.image = "host";
  container.command = {"/bin/sh", "-c", script};
  container.stop_timeout = std::chrono::seconds(1);
  TaskLaunch launch;
  launch.id = TaskId(id);
  launch.network = NetworkMode::none;
  launch.containers = {container};
  return launch;
}

TaskLaunch RuntimeTest::networked_task(const std::string& id, const std::string& script, unsigned subnet, unsigned host) {
  TaskLaunch launch = shell_task(id, script);
  launch.network = NetworkMode::awsvpc;
  launch.interface = NetworkInterface{"eni-" + id, fmt::format("02:00:00:00:{:02x}:{:02x}", subnet, host),
                                      fmt::format("10.0.{}.{}", subnet, host), 24, fmt::format("10.0.{}.1", subnet)};
  return launch;
}

std::string RuntimeTest::run(TaskLaunch launch) {
  const TaskId id = launch.id;
  runtime_->launch(std::move(launch));
  reports_.wait_for(id, "stopped");
  return output(id);
}

std::string RuntimeTest::output(const TaskId& task, const std::string& container) const {
  std::istringstream lines(read_file(runtime_->log_path(task, container)).value_or(""));
  std::string text;
  for (std::string line; std::getline(lines, line);) text += line.substr(line.find(' ') + 1) + "\n";
  return text;
}

std::string RuntimeTest::cgroup_file(const std::string& controller, const TaskId& task, const std::string& file) const {
  const auto cgroups = Cgroups::find(mount_table().value(), run_name_);
  std::string text = read_file(cgroups->directory(controller, task) + "/" + file).value_or("unreadable");
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace berth::runtime::testing

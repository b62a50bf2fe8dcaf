// `berth up`, `berth down`, `berth env`.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "broker/base/unique_fd.hpp"
#include "broker/cli/commands.hpp"
#include "broker/cli/connection.hpp"

namespace berth::cli {

using Json = nlohmann::json;

namespace {}  // namespace

std::string daemon_path() {
  char self[PATH_MAX];
  const ssize_t length = ::readlink("/proc/self/exe", self, sizeof self);
  const std::string path(self, length > 0 ? static_cast<std::size_t>(length) : 0);
  return path.substr(0, path.rfind('/') + 1) + "berthd";
}

namespace {

// Starts berthd in a session of its own; its readiness pipe is descriptor 3 there.
Result<pid_t> spawn_daemon(const UpOptions& options, int ready_pipe) {
  const std::string program = daemon_path();
  std::vector<std::string> words{program, "--state-dir", options.state_directory, "--listen", options.listen, "--ready-fd",
                                 "3",     "--log-file"};
  if (!options.region.empty()) words.insert(words.end(), {"--region", options.region});
  if (!options.docker_plugin.empty()) words.insert(words.end(), {"--docker-plugin", options.docker_plugin});
  if (!options.docker_role.empty()) words.insert(words.end(), {"--docker-role", options.docker_role});
  words.insert(words.end(), options.daemon_options.begin(), options.daemon_options.end());
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ready_pipe, 3);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  // Not ours: whoever reads what `berth up` prints would wait for the daemon's end. Its own words go to its log.
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
  pid_t pid = 0;
  const int failed = ::posix_spawn(&pid, program.c_str(), &actions, &attributes, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (failed != 0) return fail_errno(failed, "start `" + program + "`");
  return pid;
}

// Reads until the daemon closes the pipe or has written a line: "ready ENDPOINT" or "error: why".
std::string read_line(int fd, int timeout_ms) {
  std::string line;
  pollfd waiting{fd, POLLIN, 0};
  while (line.find('\n') == std::string::npos && ::poll(&waiting, 1, timeout_ms) > 0) {
    char buffer[512];
    const ssize_t got = ::read(fd, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    line.append(buffer, static_cast<std::size_t>(got));
  }
  return line.substr(0, line.find('\n'));
}

void print_up(const Json& status, bool json, const char* what) {
  if (json) {
    fmt::print("{}\n", status.dump(2));
    return;
  }
  fmt::print("Berth {} {} at {}, account {}, region {}\n", status.value("version", ""), what, status.value("endpoint", ""),
             status.value("account", ""), status.value("region", ""));
}

}  // namespace

Result<int> up(const UpOptions& options) {
  if (auto running = daemon_status(options.state_directory)) {
    print_up(*running, options.json, "is up already");
    return 0;
  }
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  auto pid = spawn_daemon(options, writer.get());
  if (!pid) return fail(pid.error());
  writer.reset();
  const std::string line = read_line(reader.get(), 60'000);
  if (!line.starts_with("ready ")) {
    ::kill(*pid, SIGTERM);
    const std::string why = line.starts_with("error: ") ? line.substr(7) : "it ended before it was ready";
    const std::string log = options.state_directory + "/daemon.log";
    const bool has_log = ::access(log.c_str(), F_OK) == 0;  // it may have ended before it could open one
    return fail(Code::failed_precondition, "the daemon did not start: {}{}", why, has_log ? " (log: " + log + ")" : "");
  }
  auto status = daemon_status(options.state_directory);
  if (!status) return fail(status.error());
  print_up(*status, options.json, "is up");
  if (const std::string why = status->value("docker_plugin_missing", ""); !why.empty())
    fmt::print(stderr, "berth: no volume plugin for Docker and Podman: {}\n", why);
  return 0;
}

namespace {

// Those volumes of Docker's and Podman's that containers have mounted.
std::string volumes_in_use(const Json& status) {
  std::string names;
  for (const Json& volume : status.value("volumes", Json::array()))
    if (volume.value("mounts", 0) > 0) names += (names.empty() ? "`" : ", `") + volume.value("name", "") + "`";
  return names;
}

}  // namespace

Result<int> down(const CommonOptions& options) {
  auto status = daemon_status(options.state_directory);
  if (!status) return fail(status.error());
  unmount_all(options.state_directory);
  if (auto stopped = admin(options.state_directory, "POST", "/stop", std::chrono::seconds{120}); !stopped) {
    return fail(stopped.error());
  }
  // The keeper goes last: when it is gone, so is every mount and namespace.
  const int pidfd = static_cast<int>(::syscall(434 /* pidfd_open */, status->value("keeper_pid", 0), 0));
  if (pidfd >= 0) {
    const UniqueFd keeper(pidfd);
    pollfd waiting{keeper.get(), POLLIN, 0};
    if (::poll(&waiting, 1, 60'000) == 0) return fail(Code::unavailable, "the daemon has not ended after a minute");
  }
  if (options.json) {
    fmt::print("{}\n", Json{{"stopped", true}}.dump());
  } else {
    fmt::print("Berth is down; its state stays in {}\n", options.state_directory);
    if (const std::string volumes = volumes_in_use(*status); !volumes.empty())
      fmt::print(stderr, "berth: containers had {} mounted: start them anew when Berth is up again\n", volumes);
  }
  return 0;
}

Result<int> env(const CommonOptions& options) {
  auto administrator = read_administrator(options.state_directory);
  if (!administrator) return fail(administrator.error());
  auto status = daemon_status(options.state_directory);
  if (!status) return fail(status.error());
  const std::vector<std::pair<std::string, std::string>> variables{
      {"AWS_ENDPOINT_URL", status->value("endpoint", "")},
      {"AWS_ACCESS_KEY_ID", administrator->access_key_id},
      {"AWS_SECRET_ACCESS_KEY", std::string{administrator->secret_access_key.reveal()}},
      {"AWS_REGION", administrator->region},
      {"AWS_DEFAULT_REGION", administrator->region},
      {"AWS_EC2_METADATA_DISABLED", "true"},
      {"BERTH_STATE_DIR", options.state_directory}};
  if (options.json) {
    Json object;
    for (const auto& [name, value] : variables) object[name] = value;
    fmt::print("{}\n", object.dump(2));
    return 0;
  }
  for (const auto& [name, value] : variables) fmt::print("export {}='{}'\n", name, value);
  // A token or profile of the cloud would be sent along with Berth's key.
  fmt::print("unset AWS_SESSION_TOKEN AWS_PROFILE\n");
  return 0;
}

}  // namespace berth::cli

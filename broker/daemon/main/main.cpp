// berthd: reads its options, opens what must be there before any daemon, and becomes the keeper.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "broker/base/log.hpp"
#include "broker/base/unique_fd.hpp"
#include "broker/daemon/config.hpp"
#include "broker/daemon/daemon.hpp"
#include "broker/daemon/services.hpp"
#include "broker/daemon/upgrade.hpp"
#include "broker/docker/plugin_socket.hpp"
#include "broker/http/socket.hpp"
#include "broker/keeper/keeper.hpp"
#include "broker/store/state_directory.hpp"

namespace {

using namespace berth;

Result<> open_log(const store::StateDirectory& directory) {
  const int fd = ::open(directory.log().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return fail_errno(errno, "open `" + directory.log() + "`");
  log::set_descriptor(fd);  // for the life of the process
  // What is not ours to log (a failed CHECK, a sanitizer's report) goes there too.
  if (::dup2(fd, STDERR_FILENO) < 0) return fail_errno(errno, "redirect standard error");
  return {};
}

// A FUSE session, its mount and the open files of each task take descriptors: as many as the machine allows.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) log::warning("the limit of open files stays", {{"limit", limit.rlim_cur}});
}

Result<> check_machine() {
  if (::geteuid() != 0) {
    return fail(Code::permission_denied, "Berth makes namespaces, mounts and cgroups: start it as root");
  }
  if (::access("/dev/fuse", R_OK | W_OK) != 0) {
    return fail(Code::unavailable, "/dev/fuse is missing: load the kernel's fuse module (`modprobe fuse`)");
  }
  return {};
}

Result<int> print_operations() {
  const auto text = daemon::list_operations();
  if (!text) return fail(text.error());
  fmt::print("{}", *text);
  return 0;
}

// The descriptors that are open before any daemon, by the option that hands each over to another program.
std::vector<std::pair<const char*, int>> handed_over(const daemon::Config& config) {
  return {{"--front-door", config.front_door},
          {"--plugin-socket", config.plugin_socket},
          {"--host-mounts", config.host_mounts},
          {"--host-root", config.host_root}};
}

// What this program was started with, for one that takes its place; without what is only for a first start.
std::vector<std::string> arguments_for_next(std::span<char*> given, const daemon::Config& config) {
  const auto handed = handed_over(config);
  std::vector<std::string> words;
  for (std::size_t i = 0; i < given.size(); ++i) {
    const std::string_view word = given[i];
    const bool once = std::ranges::any_of(handed, [&](const auto& one) { return word == one.first; });
    if (once || word == "--ready-fd" || word == "--handover") {
      ++i;
    } else {
      words.emplace_back(word);
    }
  }
  for (const auto& [option, fd] : handed)
    if (fd >= 0) words.insert(words.end(), {option, std::to_string(fd)});
  return words;
}

keeper::KeeperOptions keeper_options(const daemon::Config& config, const store::StateDirectory& directory,
                                     std::span<char*> given) {
  keeper::KeeperOptions options{.lock_path = directory.lock()};
  options.arguments = arguments_for_next(given, config);
  for (const auto& [option, fd] : handed_over(config))
    if (fd >= 0) options.handed_over.push_back(fd);
  std::sscanf(config.handover.c_str(), "%d:%d", &options.handover, &options.handover_back);
  return options;
}

Result<UniqueFd> open_front_door(const daemon::Config& config) {
  if (config.front_door >= 0) return UniqueFd(config.front_door);
  return http::listen_tcp_socket(config.address, static_cast<std::uint16_t>(config.port));
}

// Without one that nobody asked for Berth starts all the same, and says why there is none.
Result<docker::PluginSocket> open_plugin_socket(daemon::Config& config) {
  if (config.plugin_socket >= 0) return docker::PluginSocket::adopt(config.plugin_socket, config.docker_plugin);
  // One that takes another's place keeps what that had.
  if (config.docker_plugin.empty() || !config.handover.empty()) return docker::PluginSocket();
  auto socket = docker::PluginSocket::open(config.docker_plugin);
  if (socket) return socket;
  if (config.docker_plugin_given) return fail(socket.error());
  config.docker_plugin_missing = socket.error().message;
  return docker::PluginSocket();
}

struct HostDescriptors {
  UniqueFd mounts, root;
};

Result<HostDescriptors> open_host(const daemon::Config& config) {
  if (config.host_mounts >= 0) return HostDescriptors{UniqueFd(config.host_mounts), UniqueFd(config.host_root)};
  // A program from before there was such a descriptor had this one's place: the nearest to what it was started in.
  const bool late = !config.handover.empty();
  HostDescriptors host{UniqueFd(::open(late ? "/proc/1/ns/mnt" : "/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC)),
                       UniqueFd(::open(late ? "/proc/1/root" : "/", O_PATH | O_DIRECTORY | O_CLOEXEC))};
  if (!host.mounts || !host.root) return fail_errno(errno, "open the mount namespace that Berth is started in");
  return host;
}

Result<int> run(daemon::Config config, std::span<char*> given) {
  if (config.list_operations) return print_operations();
  if (config.handover_version) return fmt::print("{}\n", daemon::handover_version()), 0;
  if (auto checked = check_machine(); !checked) return fail(checked.error());
  raise_descriptor_limit();
  auto directory = store::StateDirectory::prepare(config.state_directory);
  if (!directory) return fail(directory.error());
  auto front_door = open_front_door(config);
  if (!front_door) return fail(front_door.error());
  config.port = http::port_of(front_door->get());
  config.front_door = front_door->get();
  auto host = open_host(config);
  if (!host) return fail(host.error());
  config.host_mounts = host->mounts.get();
  config.host_root = host->root.get();
  auto plugin_socket = open_plugin_socket(config);
  if (!plugin_socket) return fail(plugin_socket.error());
  config.plugin_socket = plugin_socket->get();
  if (config.log_to_file) {
    if (auto opened = open_log(*directory); !opened) return fail(opened.error());
  }
  return keeper::run(keeper_options(config, *directory, given), [&](Survival& survival, ChildExits& exits) {
    return daemon::run_daemon(config, *directory, survival, exits);
  });
}

}  // namespace

int main(int argc, char** argv) {
  const daemon::ParsedConfig parsed = daemon::parse_command_line(argc, argv);
  if (!parsed.problem.empty()) daemon::announce(parsed.config.ready_fd, "error: " + parsed.problem);
  if (parsed.exit_code >= 0) return parsed.exit_code;
  if (parsed.config.verbose) log::set_level(log::Level::debug);
  const Result<int> done = run(parsed.config, {argv, static_cast<std::size_t>(argc)});
  if (done) return *done;
  fmt::print(stderr, "berthd: {}\n", done.error().message);
  daemon::announce(parsed.config.ready_fd, "error: " + done.error().message);
  return 1;
}

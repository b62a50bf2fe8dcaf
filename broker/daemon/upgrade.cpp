#include "broker/daemon/upgrade.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "broker/base/unique_fd.hpp"
#include "broker/keeper/keeper.hpp"
#include "fuse/layout.hpp"

namespace berth::daemon {
namespace {

constexpr int kPatienceMs = 10'000;

Result<pid_t> spawn_to_ask(const std::string& binary, int output) {
  std::string program = binary;
  std::string flag = "--handover-version";
  std::array<char*, 3> arguments{program.data(), flag.data(), nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  pid_t pid = 0;
  const int failed = ::posix_spawn(&pid, binary.c_str(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return fail_errno(failed, fmt::format("`{}` does not start", binary));
  return pid;
}

std::string read_to_end(int fd) {
  std::string text;
  pollfd waiting{fd, POLLIN, 0};
  while (text.size() < 4096 && ::poll(&waiting, 1, kPatienceMs) > 0) {
    std::array<char, 512> buffer{};
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return text.substr(0, text.find('\n'));
}

}  // namespace

std::string handover_version() {
  return fmt::format("{}.{:x}", keeper::handover_version(), fmt::join(fuse::kMemoryVersion, "."));
}

Result<> check_successor(const std::string& binary) {
  if (binary.empty() || binary.front() != '/') return fail(Code::invalid_argument, "`{}` is not an absolute path", binary);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  auto pid = spawn_to_ask(binary, writer.get());
  if (!pid) return fail(pid.error());
  writer.reset();
  const std::string version = read_to_end(reader.get());
  ::kill(*pid, SIGKILL);  // it has said what it had to say
  ::waitpid(*pid, nullptr, 0);
  if (version.find('.') == std::string::npos) {
    return fail(Code::failed_precondition, "`{}` is no berthd that can take over (it does not answer --handover-version)",
                binary);
  }
  if (version != handover_version()) {
    return fail(
        Code::failed_precondition,
        "`{}` keeps what outlives a daemon in another form ({}, not {}): `berth down` with this one, then `berth up` with that "
        "one; tasks are stopped, the state directory stays",
        binary, version, handover_version());
  }
  return {};
}

}  // namespace berth::daemon

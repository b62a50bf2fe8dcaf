#include "broker/runtime/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "broker/base/unique_fd.hpp"

namespace berth::runtime {
namespace {

constexpr std::size_t kOutputBytesMax = 64 * 1024;

// What a child of vfork() runs in its parent's memory: system calls only. The daemon blocks and ignores signals that a program
// must get. A program dies with the daemon: one that went on would work against what the next daemon starts, which begins
// anew whatever was under way.
[[noreturn]] void be_the_program(pid_t daemon, char* const* arguments, char* const* environment, int output, int error,
                                 volatile int& failure) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != daemon) ::_exit(127);
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const int input = ::open("/dev/null", O_RDONLY);
  const bool connected =
      input >= 0 && ::dup2(input, STDIN_FILENO) >= 0 && ::dup2(output, STDOUT_FILENO) >= 0 && ::dup2(error, STDERR_FILENO) >= 0;
  if (input > STDERR_FILENO) ::close(input);
  if (connected) ::execvpe(arguments[0], arguments, environment);
  failure = errno;
  ::_exit(127);
}

Result<pid_t> spawn(const Command& command, int output, int error) {
  std::vector<char*> arguments;
  for (const std::string& argument : command.arguments) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  char* environment[] = {path, nullptr};
  const pid_t daemon = ::getpid();
  volatile int failure = 0;  // written by the child, which a compiler doesn't see
  // A signal handler must not run in the child: it would be the daemon's, in the daemon's memory.
  sigset_t all, before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  // fork() would copy the page tables, posix_spawn() sets no PR_SET_PDEATHSIG; the child only makes system calls until it is a
  // program or ends, so the thread that waits for that does not wait for anything from outside.
  const pid_t pid = ::vfork();  // NOLINT(bugprone-unsafe-functions)
  if (pid == 0) be_the_program(daemon, arguments.data(), environment, output, error, failure);
  if (pid < 0) failure = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid > 0 && failure != 0) ::waitpid(pid, nullptr, 0);
  if (failure != 0) return fail_errno(failure, "start `" + command.arguments[0] + "`");
  return pid;
}

// waitid on the one pid: other children are others' to reap.
Result<int> wait_for(pid_t pid, std::chrono::milliseconds timeout) {
  UniqueFd handle(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  bool timed_out = false;
  if (handle) {
    pollfd entry{handle.get(), POLLIN, 0};
    int ready;
    do ready = ::poll(&entry, 1, static_cast<int>(timeout.count()));
    while (ready < 0 && errno == EINTR);
    timed_out = ready == 0;
  }
  if (timed_out) ::kill(pid, SIGKILL);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return fail_errno(errno, "wait for a program");
  if (timed_out) return fail(Code::unavailable, "no answer within {} ms", timeout.count());
  return status;
}

}  // namespace

int exit_code_of(int wait_status) { return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status); }

Result<Finished> run_program(const Command& command) {
  // A file in memory and not a pipe: nobody has to read while the program runs, and a grandchild that keeps it open blocks
  // nobody.
  UniqueFd collected(::memfd_create("berth-output", MFD_CLOEXEC));
  if (!collected) return fail_errno(errno, "memfd_create");
  const int output = command.standard_output >= 0 ? command.standard_output : collected.get();
  const int error = command.standard_error >= 0 ? command.standard_error : collected.get();
  auto pid = spawn(command, output, error);
  if (!pid) return fail(pid.error());
  auto status = wait_for(*pid, command.timeout);
  if (!status) return fail(status.error().within("`" + command.arguments[0] + "`"));
  Finished finished{exit_code_of(*status), std::string(kOutputBytesMax, '\0')};
  const ssize_t n = ::pread(collected.get(), finished.output.data(), finished.output.size(), 0);
  finished.output.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  return finished;
}

Result<std::string> run_checked(const Command& command) {
  auto finished = run_program(command);
  if (!finished) return fail(finished.error());
  if (finished->exit_code == 0) return std::move(finished->output);
  std::string text = finished->output;
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return fail(Code::failed_precondition, "`{}` ended with {}: {}", command.arguments[0], finished->exit_code, text);
}

}  // namespace berth::runtime

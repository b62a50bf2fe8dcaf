#include "broker/keeper/keeper.hpp"

#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <optional>
#include <utility>
#include <vector>

#include "broker/base/log.hpp"
#include "broker/base/unique_fd.hpp"
#include "broker/keeper/descriptors.hpp"
#include "broker/keeper/keeper_child_exits.hpp"
#include "broker/keeper/keeper_survival.hpp"
#include "broker/keeper/shared_table.hpp"
#include "broker/keeper/state_lock.hpp"

namespace berth::keeper {

namespace {

using Milliseconds = std::chrono::milliseconds;

class Keeper {
 public:
  Keeper(const KeeperOptions& options, const DaemonMain& daemon_main) : options_(options), daemon_main_(daemon_main) {
    ::sigprocmask(SIG_SETMASK, nullptr, &signals_before_);
  }
  ~Keeper() { ::sigprocmask(SIG_SETMASK, &signals_before_, nullptr); }
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;

  Result<> begin();
  int supervise();

 private:
  pid_t start_daemon();
  [[noreturn]] void be_the_daemon(pid_t keeper);
  // Passes signals on and reaps until the daemon has ended.
  int wait_for_daemon();
  // nullopt: it won't be started again.
  std::optional<Milliseconds> judge_death(int signal);
  // False where a signal ended the wait: there will be no next daemon.
  bool sit_out(Milliseconds delay);
  void clear_descriptors();
  void take_signal(int signal);
  void reap();
  void report_exit(pid_t pid, int wait_status);

  const KeeperOptions& options_;
  const DaemonMain& daemon_main_;
  UniqueFd lock_, exits_signal_;
  SharedTable::Pointer table_;
  std::vector<KnownDescriptor> own_;  // open before the first daemon, and the keeper's
  sigset_t signals_{}, signals_before_{};
  RestartPolicy policy_{options_.restarts};
  pid_t daemon_ = -1;
  std::optional<int> daemon_status_;
  int stop_signal_ = 0;
};

Result<> enter_private_mounts() {
  if (::unshare(CLONE_NEWNS) != 0) {
    return fail_errno(errno, "make a mount namespace (Berth runs as root, with CAP_SYS_ADMIN)");
  }
  // A slave: what the host mounts later is seen here, what Berth mounts is not seen there.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) return fail_errno(errno, "make the mounts private");
  return {};
}

Result<> Keeper::begin() {
  auto lock = take_state_lock(options_.lock_path);
  if (!lock) return fail(lock.error());
  lock_ = std::move(*lock);
  if (options_.private_mounts) {
    if (auto entered = enter_private_mounts(); !entered) return entered;
  }
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return fail_errno(errno, "become the reaper of containers");
  auto table = SharedTable::make();
  if (!table) return fail(table.error());
  table_ = std::move(*table);
  exits_signal_ = UniqueFd{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  if (!exits_signal_) return fail_errno(errno, "make an event descriptor");
  for (const int fd : open_descriptors()) own_.push_back(know(fd));

  // An ignored SIGCHLD, inherited from who started us, would reap the children without a word.
  std::signal(SIGCHLD, SIG_DFL);
  ::sigemptyset(&signals_);
  for (const int signal : {SIGCHLD, SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&signals_, signal);
  if (::sigprocmask(SIG_BLOCK, &signals_, nullptr) != 0) return fail_errno(errno, "block signals");
  return {};
}

int Keeper::supervise() {
  while (true) {
    daemon_ = start_daemon();
    if (daemon_ < 0) {
      log::error("daemon can't be started", {{"errno", errno}});
      return EXIT_FAILURE;
    }
    const int status = wait_for_daemon();
    if (WIFEXITED(status)) return WEXITSTATUS(status);
    const int signal = WTERMSIG(status);
    clear_descriptors();
    const auto delay = judge_death(signal);
    if (!delay || !sit_out(*delay)) return 128 + signal;
    table_->restarts += 1;
  }
}

pid_t Keeper::start_daemon() {
  daemon_status_.reset();
  std::fflush(nullptr);  // else both processes would write what is buffered
  const pid_t keeper = ::getpid();
  // fork(2) but for the shared descriptor table. glibc's fork() can't share it; what it does besides is for processes with
  // threads, and the keeper has none.
  const auto pid = static_cast<pid_t>(::syscall(SYS_clone, CLONE_FILES | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
  if (pid == 0) be_the_daemon(keeper);
  return pid;
}

void Keeper::be_the_daemon(pid_t keeper) {
  // A process group of its own: a ^C at the terminal reaches the daemon once, through the keeper.
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != keeper) ::_exit(EXIT_FAILURE);  // it died before the line above
  ::sigprocmask(SIG_SETMASK, &signals_before_, nullptr);
  int code = EXIT_FAILURE;
  {
    KeeperSurvival survival{*table_};
    KeeperChildExits exits{table_->exits, exits_signal_.get()};
    code = daemon_main_(survival, exits);
  }
  std::fflush(nullptr);
  ::_exit(code);
}

int Keeper::wait_for_daemon() {
  while (!daemon_status_) take_signal(::sigwaitinfo(&signals_, nullptr));
  return *daemon_status_;
}

std::optional<Milliseconds> Keeper::judge_death(int signal) {
  if (stop_signal_ != 0) return std::nullopt;
  const auto delay = policy_.died(std::chrono::steady_clock::now());
  if (delay) {
    log::warning("daemon died; starting it again",
                 {{"signal", signal}, {"restarts", table_->restarts.load() + 1}, {"delay_ms", delay->count()}});
  } else {
    log::error("daemon died too often; giving up",
               {{"signal", signal}, {"deaths", options_.restarts.deaths_max}, {"window_ms", options_.restarts.window.count()}});
  }
  return delay;
}

bool Keeper::sit_out(Milliseconds delay) {
  const auto until = std::chrono::steady_clock::now() + delay;
  while (stop_signal_ == 0) {
    const auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(until - std::chrono::steady_clock::now()).count();
    if (left <= 0) return true;
    const timespec limit{left / 1'000'000'000, left % 1'000'000'000};
    take_signal(::sigtimedwait(&signals_, nullptr, &limit));
  }
  return false;
}

// What the dead daemon had open is open here too: clients would wait for answers, readers for the end of pipes.
void Keeper::clear_descriptors() {
  std::vector<int> kept = table_->surviving_descriptors();
  // A daemon may close what it inherited (the descriptor on which it said that it is ready), and open something there.
  for (const KnownDescriptor& own : own_) {
    if (know(own.fd) == own) kept.push_back(own.fd);
  }
  std::ranges::sort(kept);
  close_all_but(kept);
}

void Keeper::take_signal(int signal) {
  if (signal < 0) return;  // a time limit, or a debugger
  if (signal == SIGCHLD) return reap();
  stop_signal_ = signal;
  if (!daemon_status_) ::kill(daemon_, signal);
}

void Keeper::reap() {
  while (true) {
    siginfo_t info{};
    // Looks before it takes: the pid must not be free for another process before its exit is on record.
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return;
    int status =
        info.si_code == CLD_EXITED ? (info.si_status & 0xff) << 8 : info.si_status | (info.si_code == CLD_DUMPED ? 0x80 : 0);
    if (info.si_pid == daemon_) {
      ::waitpid(daemon_, &status, 0);
      daemon_status_ = status;
    } else {
      report_exit(info.si_pid, status);
    }
  }
}

void Keeper::report_exit(pid_t pid, int wait_status) {
  const std::uint64_t record = table_->exits.append(pid, wait_status, SystemClock{}.now());
  ::waitpid(pid, nullptr, 0);
  table_->exits.mark_reaped(record);
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(exits_signal_.get(), &one, sizeof one);
}

}  // namespace

Result<int> run(const KeeperOptions& options, const DaemonMain& daemon_main) {
  Keeper keeper{options, daemon_main};
  if (auto begun = keeper.begin(); !begun) return fail(begun.error());
  return keeper.supervise();
}

}  // namespace berth::keeper

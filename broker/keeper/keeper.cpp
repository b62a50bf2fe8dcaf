#include "broker/keeper/keeper.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "broker/base/log.hpp"
#include "broker/base/outliving_threads.hpp"
#include "broker/base/unique_fd.hpp"
#include "broker/keeper/descriptors.hpp"
#include "broker/keeper/keeper_child_exits.hpp"
#include "broker/keeper/keeper_survival.hpp"
#include "broker/keeper/shared_table.hpp"
#include "broker/keeper/state_lock.hpp"

namespace berth::keeper {

namespace {

using Milliseconds = std::chrono::milliseconds;

constexpr unsigned kPidfdThread = O_EXCL;  // PIDFD_THREAD, newer than the headers

// The daemon has the same descriptor table: the low numbers are its own.
UniqueFd out_of_the_way(UniqueFd fd) {
  constexpr int kHigh = 900;
  UniqueFd high(fd ? ::fcntl(fd.get(), F_DUPFD_CLOEXEC, kHigh) : -1);
  return high ? std::move(high) : std::move(fd);
}

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
  // Passes signals on and reaps until the daemon has ended, but for threads that wait for its successor.
  int wait_for_daemon();
  // nullopt: it won't be started again.
  std::optional<Milliseconds> judge_death(int signal);
  // False where a signal ended the wait: there will be no next daemon.
  bool sit_out(Milliseconds delay);
  void clear_descriptors();
  void take_signal(int signal);
  void reap();
  void report_exit(pid_t pid, int wait_status);
  Result<> adopt();
  Result<> make();
  bool replacing() const { return table_->replacement.stage == Replacement::Stage::started; }
  void begin_replacement();
  void give_up_replacement(const std::string& why);
  void become(int binary);
  void execute(int binary, int table, int back) const;

  const KeeperOptions& options_;
  const DaemonMain& daemon_main_;
  UniqueFd lock_, exits_signal_;
  UniqueFd signals_arrive_;
  SharedTable::Pointer table_;
  std::vector<KnownDescriptor> own_;  // open before the first daemon, and the keeper's
  sigset_t signals_{}, signals_before_{};
  RestartPolicy policy_{options_.restarts};
  std::chrono::steady_clock::time_point started_at_;
  pid_t daemon_ = -1;
  std::optional<int> daemon_status_;
  std::set<pid_t> left_behind_;  // dead daemons of which a thread is still in the kernel
  int stop_signal_ = 0;
  bool replace_ = false;        // the daemon was killed to make room for another program
  bool replaced_here_ = false;  // this program is the one that took over, and may have to go back
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
  if (auto had = options_.handover >= 0 ? adopt() : make(); !had) return had;
  const std::vector<int> surviving = table_->surviving_descriptors();
  for (const int fd : open_descriptors()) {
    if (!std::ranges::binary_search(surviving, fd)) own_.push_back(know(fd));
  }

  // An ignored SIGCHLD, inherited from who started us, would reap the children without a word.
  std::signal(SIGCHLD, SIG_DFL);
  ::sigemptyset(&signals_);
  for (const int signal : {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR2}) ::sigaddset(&signals_, signal);
  if (::sigprocmask(SIG_BLOCK, &signals_, nullptr) != 0) return fail_errno(errno, "block signals");
  signals_arrive_ = UniqueFd{::signalfd(-1, &signals_, SFD_CLOEXEC)};
  if (!signals_arrive_) return fail_errno(errno, "make a signal descriptor");
  own_.push_back(know(signals_arrive_.get()));
  return {};
}

// What the process had before it became this program: its children, its mounts and being their reaper come along by themselves.
Result<> Keeper::adopt() {
  auto table = SharedTable::adopt(options_.handover);
  if (!table) {
    log::error("the program before comes back", {{"reason", table.error().message}});
    for (const int fd : open_descriptors()) ::fcntl(fd, F_SETFD, 0);
    execute(options_.handover_back, options_.handover, -1);
    return fail(table.error());
  }
  table_ = std::move(*table);
  lock_ = UniqueFd{table_->lock};
  exits_signal_ = UniqueFd{table_->exits_signal};
  // The daemon's signals were blocked by the program before.
  ::sigemptyset(&signals_before_);
  for (const int fd : open_descriptors()) {
    if (fd > STDERR_FILENO) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
  replaced_here_ = replacing();
  table_->restarts += 1;
  return {};
}

Result<> Keeper::make() {
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
  table_->lock = lock_.get();
  table_->exits_signal = exits_signal_.get();
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
    const bool asked = table_->replacement.stage == Replacement::Stage::requested && stop_signal_ == 0;
    if (replacing() && stop_signal_ == 0) {  // not by taking over: then it is done
      clear_descriptors();
      give_up_replacement("it ended before it served");
    } else if (asked && replace_) {
      clear_descriptors();
      begin_replacement();
      table_->restarts += 1;
      continue;
    }
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
  started_at_ = std::chrono::steady_clock::now();
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
  leave_no_core();
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
  replace_ = false;
  using Clock = std::chrono::steady_clock;
  const auto patience = Clock::now() + options_.replacement_patience;
  // Readable when one of the daemon's threads is dead (Linux 6.9), and so the others soon. Of its first thread the kernel tells
  // only when no other is left (6.15). Where there is none, it is looked for now and then.
  UniqueFd witness;
  bool can_be_had = true;
  Clock::time_point dying_until{};
  while (!daemon_status_) {
    const bool dying = Clock::now() < dying_until;
    if (const pid_t thread = witness || dying || !can_be_had ? 0 : mortal_thread(daemon_); thread != 0) {
      witness = out_of_the_way(UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, thread, kPidfdThread))));
      can_be_had = witness || errno != EINVAL;
    }
    std::array<struct pollfd, 2> events{{{signals_arrive_.get(), POLLIN, 0}, {witness.get(), POLLIN, 0}}};
    constexpr int kOften = 1;
    constexpr int kSoon = 100;
    constexpr int kNowAndThen = 500;
    constexpr int kSeldom = 2000;
    const int unhurried = witness && !replacing() ? kSeldom : can_be_had ? kSoon : kNowAndThen;
    const int ready = ::poll(events.data(), events.size(), dying ? kOften : unhurried);
    for (int signal = SIGCHLD; signal > 0;) {
      constexpr timespec kNone{0, 0};
      signal = ::sigtimedwait(&signals_, nullptr, &kNone);
      take_signal(signal);
    }
    if ((events[1].revents & POLLIN) != 0) {  // or it had done what it was for
      dying_until = Clock::now() + std::chrono::seconds(1);
      witness.reset();
    }
    if (!daemon_status_ && (dying || ready == 0) && only_outliving_threads_left(daemon_)) {
      left_behind_.insert(daemon_);
      daemon_status_ = SIGKILL;
    }
    if (replacing() && Clock::now() > patience) ::kill(daemon_, SIGKILL);
  }
  return *daemon_status_;
}

// The daemon is dead. Returns where the other program can't even be begun.
void Keeper::begin_replacement() {
  Replacement& replacement = table_->replacement;
  const UniqueFd binary{::open(replacement.binary.data(), O_PATH | O_CLOEXEC)};
  replacement.old_binary = ::open("/proc/self/exe", O_PATH | O_CLOEXEC);
  if (!binary || replacement.old_binary < 0) return give_up_replacement("its file can't be opened");
  replacement.stage = Replacement::Stage::started;
  log::info("another program takes over", {{"binary", replacement.binary.data()}});
  become(binary.get());
  give_up_replacement("it can't be executed");
}

// The program before comes back, if this one is another.
void Keeper::give_up_replacement(const std::string& why) {
  Replacement& replacement = table_->replacement;
  log::error("the other program does not take over", {{"binary", replacement.binary.data()}, {"reason", why}});
  replacement.why.fill('\0');
  why.copy(replacement.why.data(), replacement.why.size() - 1);
  const int old = std::exchange(replacement.old_binary, -1);
  replacement.stage = Replacement::Stage::failed;
  if (old < 0) return;
  if (options_.handover >= 0 && replaced_here_) become(old);
  ::close(old);
}

void Keeper::execute(int binary, int table, int back) const {
  std::vector<std::string> words = options_.arguments;
  words.insert(words.end(), {"--handover", fmt::format("{}:{}", table, back)});
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  std::fflush(nullptr);
  ::fexecve(binary, arguments.data(), environ);
}

// Returns only where that fails.
void Keeper::become(int binary) {
  std::vector<int> kept = table_->surviving_descriptors();
  kept.insert(kept.end(), {table_->table_file, lock_.get(), exits_signal_.get(), table_->replacement.old_binary});
  kept.insert(kept.end(), options_.handed_over.begin(), options_.handed_over.end());
  for (const int fd : kept) {
    if (fd >= 0) ::fcntl(fd, F_SETFD, 0);
  }
  execute(binary, table_->table_file, table_->replacement.old_binary);
  log::error("program can't be executed", {{"errno", errno}});
  for (const int fd : kept) {
    if (fd >= 0) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
}

std::optional<Milliseconds> Keeper::judge_death(int signal) {
  if (stop_signal_ != 0) return std::nullopt;
  // One that has served for a while does not die of how it starts: there is nothing to wait for.
  constexpr std::chrono::seconds kWhile{1};
  if (table_->served.exchange(false) && std::chrono::steady_clock::now() - started_at_ > kWhile)
    policy_ = RestartPolicy{options_.restarts};
  using Death = RestartPolicy::Death;
  const auto delay = policy_.died(std::chrono::steady_clock::now(), signal == SIGKILL ? Death::killed : Death::by_itself);
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
  if (signal == SIGUSR2) {
    Replacement& replacement = table_->replacement;
    if (replacement.stage == Replacement::Stage::requested && !options_.arguments.empty()) {
      replace_ = true;
      if (!daemon_status_) ::kill(daemon_, SIGKILL);
    } else if (replacement.stage == Replacement::Stage::done && replacement.old_binary >= 0) {
      ::close(std::exchange(replacement.old_binary, -1));
      log::info("the other program has taken over");
    }
    return;
  }
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
    if (left_behind_.contains(info.si_pid)) {
      ::waitpid(info.si_pid, nullptr, 0);
      left_behind_.erase(info.si_pid);
    } else if (info.si_pid == daemon_) {
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

std::string handover_version() { return fmt::format("{:x}.{}", SharedTable::kLayout, sizeof(SharedTable)); }

Result<int> run(const KeeperOptions& options, const DaemonMain& daemon_main) {
  Keeper keeper{options, daemon_main};
  if (auto begun = keeper.begin(); !begun) return fail(begun.error());
  return keeper.supervise();
}

}  // namespace berth::keeper

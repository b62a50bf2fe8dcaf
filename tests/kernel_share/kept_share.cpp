#include "tests/kernel_share/kept_share.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <set>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "broker/base/outliving_threads.hpp"
#include "fuse/layout.hpp"
#include "tests/support/shared_survival.hpp"

namespace berth::fuse::test {
namespace {

// Seen by the test, the keeper and every daemon.
struct TrapMemory {
  std::atomic<KeptShare::Trap> trap;
  Moment moment;
  std::uint32_t opcode;
  int error;
  int control;  // the daemon's
  std::atomic<pid_t> daemon;
  std::atomic<bool> no_memory;
  std::atomic<int> steps_left;
};
TrapMemory* trap_memory = nullptr;

int spring(Moment moment, std::uint32_t opcode) {
  TrapMemory& memory = *trap_memory;
  constexpr std::uint32_t kCopyFileRange = 47, kCopyFileRange64 = 53;  // the same, of old and new kernels
  if (opcode == kCopyFileRange64) opcode = kCopyFileRange;
  if (memory.moment != moment || memory.opcode != opcode) return 0;
  switch (memory.trap.exchange(KeptShare::Trap::none)) {
    case KeptShare::Trap::die:
      kill(getpid(), SIGKILL);
      while (true) pause();
    case KeptShare::Trap::stop:
      send(memory.control, "stopped", 7, 0);
      while (true) pause();
    case KeptShare::Trap::fail: return memory.error;
    default: return 0;
  }
}

}  // namespace

KeptShare::KeptShare(std::vector<Place> places, Share::Options options) : places_(std::move(places)), options_(options) {
  void* memory = mmap(nullptr, sizeof(TrapMemory), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) std::abort();
  trap_memory = new (memory) TrapMemory{};
  options_.fault = spring;
  for (const Place& place : places_) ::mkdir(place.path.c_str(), 0755);
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) std::abort();
  control_.reset(ends[0]);
  const timeval patience{20, 0};
  setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  const UniqueFd other(ends[1]);
  keeper_ = fork();
  if (keeper_ == 0) {
    control_.reset();
    keep(other.get());
  }
  first_ = hear();
}

KeptShare::~KeptShare() {
  control_.reset();
  waitpid(keeper_, nullptr, 0);
  for (const Place& place : places_) umount2(place.path.c_str(), MNT_DETACH);
}

std::string KeptShare::kill_daemon() {
  send(control_.get(), "kill", 4, 0);
  return hear();
}

std::string KeptShare::crash_daemon() {
  kill(trap_memory->daemon, SIGSEGV);
  return hear();
}

bool KeptShare::kill_two(int step) {
  trap_memory->steps_left = step;
  const std::string said = kill_daemon();
  const bool died = trap_memory->steps_left.exchange(0) == 0;
  if (said != fmt::format("recovered {}", places_.size())) throw std::runtime_error(fmt::format("step {}: {}", step, said));
  return died;
}

void KeptShare::set_trap(Trap trap, Moment moment, std::uint32_t opcode, int error) {
  trap_memory->moment = moment;
  trap_memory->opcode = opcode;
  trap_memory->error = error;
  trap_memory->trap = trap;
}

KeptShare::Holdings KeptShare::holdings() {
  send(control_.get(), "count", 5, 0);
  Holdings held;
  std::sscanf(hear().c_str(), "%zu %zu", &held.inodes, &held.descriptors);
  return held;
}

std::size_t KeptShare::locks_waited_for() {
  send(control_.get(), "count", 5, 0);
  std::size_t waiting = 0;
  std::sscanf(hear().c_str(), "%*u %*u %zu", &waiting);
  return waiting;
}

void KeptShare::limit_descriptors(std::size_t limit) {
  struct rlimit wanted{};
  prlimit(trap_memory->daemon, RLIMIT_NOFILE, nullptr, &wanted);
  wanted.rlim_cur = std::min<rlim_t>(limit, wanted.rlim_max);
  if (prlimit(trap_memory->daemon, RLIMIT_NOFILE, &wanted, nullptr) != 0) std::abort();
}

void KeptShare::deny_memory(bool denied) { trap_memory->no_memory = denied; }

bool KeptShare::trap_is_set() const { return trap_memory->trap != Trap::none; }

std::string KeptShare::hear() {
  std::array<char, 256> buffer{};
  const ssize_t size = recv(control_.get(), buffer.data(), buffer.size(), 0);
  if (size < 0 && errno == EAGAIN) return "nothing";
  return size <= 0 ? "keeper died" : std::string(buffer.data(), static_cast<std::size_t>(size));
}

// Of the daemon, or a command to end it; 0 or less where the test is gone.
ssize_t KeptShare::wait_for_end(pid_t daemon, int control) {
  const UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, daemon, 0)));
  while (true) {
    std::array<pollfd, 2> events{{{process.get(), POLLIN, 0}, {control, POLLIN, 0}}};
    constexpr int kLookAgain = 20;  // ms: for threads that it leaves behind
    poll(events.data(), events.size(), kLookAgain);
    if (events[0].revents != 0 || only_outliving_threads_left(daemon)) return 1;
    if (events[1].revents == 0) continue;
    std::array<char, 16> command{};
    const ssize_t size = recv(control, command.data(), command.size(), 0);
    if (command[0] != 'c') return size;
    kill(daemon, SIGUSR1);
  }
}

void KeptShare::keep(int control) {
  berth::test::SharedSurvival survival;
  trap_memory->control = control;
  std::set<int> own;
  for (int fd = 0; fd <= control; ++fd) own.insert(fd);
  while (true) {
    const auto daemon = static_cast<pid_t>(syscall(SYS_clone, CLONE_FILES | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
    if (daemon == 0) serve(survival, control);
    const ssize_t size = wait_for_end(daemon, control);
    kill(daemon, SIGKILL);
    while (waitpid(daemon, nullptr, WNOHANG) == 0 && !only_outliving_threads_left(daemon)) {
      poll(nullptr, 0, 1);
    }
    if (size <= 0) _exit(0);  // the table goes with us, and with it the connections
    survival.close_the_rest(own);
  }
}

void KeptShare::serve(berth::test::SharedSurvival& survival, int control) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGUSR1);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  leave_no_core();
  trap_memory->daemon = getpid();
  survival.deny(&trap_memory->no_memory);
  survival.die_after(&trap_memory->steps_left);
  auto share = Share::start(options_, survival);
  const std::string said = share ? start(**share, survival) : share.error().message;
  send(control, said.data(), said.size(), 0);
  while (true) {
    sigwaitinfo(&signals, nullptr);
    std::uint64_t inodes = 0;
    for (const auto& mount : (*share)->stats()) inodes += mount.known_inodes;
    const auto journal = survival.region("share/journal", sizeof(JournalMemory));
    const auto& waiting = reinterpret_cast<const JournalMemory*>(journal->data())->waiting;
    const auto waiters = std::ranges::count_if(waiting, [](const WaitingRecord& record) { return record.unique != 0; });
    const std::string counts =
        std::to_string(inodes) + " " + std::to_string(survival.kept_count()) + " " + std::to_string(waiters);
    send(control, counts.data(), counts.size(), 0);
  }
}

std::string KeptShare::start(Share& share, const Survival& survival) {
  if (survival.restarts() != 0) {
    auto recovered = share.recover();
    return recovered ? "recovered " + std::to_string(recovered->size()) : recovered.error().message;
  }
  for (const Place& place : places_) {
    auto mount = share.mount(place.spec);
    if (!mount) return mount.error().message;
    if (move_mount(mount->get(), "", AT_FDCWD, place.path.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0) return "move_mount";
  }
  return "mounted";
}

}  // namespace berth::fuse::test

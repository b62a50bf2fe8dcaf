// POSIX locks, locks of open file descriptions, flock: between processes and mounts.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "broker/base/unique_fd.hpp"
#include "tests/posix/child.hpp"
#include "tests/posix/scenarios.hpp"

namespace berth::posix {
namespace {

struct flock range_of(short type, off_t start, off_t length) {
  struct flock lock{};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = start;
  lock.l_len = length;
  return lock;
}

int set(int fd, int command, short type, off_t start = 0, off_t length = 0) {
  struct flock lock = range_of(type, start, length);
  return error_of(fcntl(fd, command, &lock));
}

UniqueFd opened(const std::string& path, int flags = O_RDWR) { return UniqueFd(open(path.c_str(), flags | O_CLOEXEC)); }

// Takes the lock and lets it go. Not by close(2): that returns a moment before the share has let go.
int taken(const std::string& path, int command, short type, off_t start = 0, off_t length = 0) {
  const UniqueFd file = opened(path);
  const int error = set(file.get(), command, type, start, length);
  if (error == 0) set(file.get(), command, F_UNLCK, start, length);
  return error;
}

// In another process, through `path`: the errno of taking this lock.
int taken_by_another(const std::string& path, int command, short type, off_t start = 0, off_t length = 0) {
  return Child([&] { return taken(path, command, type, start, length); }).result();
}

const char* name_of_lock(short type) { return type == F_RDLCK ? "a read lock" : "a write lock"; }

struct Span {
  off_t start;
  off_t length;
};

bool overlap(const Span& a, const Span& b) {
  const auto end = [](const Span& s) { return s.length == 0 ? INT64_MAX : s.start + s.length; };
  return a.start < end(b) && b.start < end(a);
}

void conflicts(Run& run) {
  run.put_content("x", "0123456789", {0666, 0, 0});
  const Span held{10, 10};
  for (const int holds : {F_SETLK, F_OFD_SETLK}) {
    for (const short type : {static_cast<short>(F_RDLCK), static_cast<short>(F_WRLCK)}) {
      const UniqueFd holder = opened(run.at("x"));
      run.error("taking a lock", set(holder.get(), holds == F_SETLK ? F_SETLKW : F_OFD_SETLKW, type, held.start, held.length), 0);
      for (const std::string& path : {run.at("x"), run.seen("x")}) {
        for (const int asks : {F_SETLK, F_OFD_SETLK}) {
          for (const short wanted : {static_cast<short>(F_RDLCK), static_cast<short>(F_WRLCK)}) {
            for (const Span span : {Span{0, 0}, Span{0, 10}, Span{0, 11}, Span{19, 1}, Span{20, 0}}) {
              const bool clash = overlap(held, span) && (type == F_WRLCK || wanted == F_WRLCK);
              run.error(fmt::format("{} of {}+{} where another process has {} ({} and {})", name_of_lock(wanted), span.start,
                                    span.length, name_of_lock(type), holds, asks),
                        taken_by_another(path, asks, wanted, span.start, span.length), clash ? EAGAIN : 0);
            }
          }
        }
      }
    }
  }
}

void of_one_process(Run& run) {
  run.put_content("x", "text", {0666, 0, 0});
  const UniqueFd one = opened(run.at("x"));
  {
    const UniqueFd two = opened(run.at("x"));
    run.error("a write lock", set(one.get(), F_SETLK, F_WRLCK), 0);
    run.error("a write lock again by the same process", set(two.get(), F_SETLK, F_WRLCK), 0);
    run.error("downgrade of a part", set(two.get(), F_SETLK, F_RDLCK, 0, 5), 0);
    run.error("read lock of the part by another", taken_by_another(run.seen("x"), F_SETLK, F_RDLCK, 0, 5), 0);
    run.error("read lock of the rest by another", taken_by_another(run.seen("x"), F_SETLK, F_RDLCK, 5, 5), EAGAIN);
    run.error("unlock of the middle", set(one.get(), F_SETLK, F_UNLCK, 10, 10), 0);
    run.error("write lock of the middle by another", taken_by_another(run.seen("x"), F_SETLK, F_WRLCK, 10, 10), 0);
    run.error("write lock behind the middle by another", taken_by_another(run.seen("x"), F_SETLK, F_WRLCK, 20, 1), EAGAIN);
    run.error("a lock that a fork does not inherit", Child([&] { return set(one.get(), F_SETLK, F_WRLCK, 30, 1); }).result(),
              EAGAIN);
  }
  // close(2) of any descriptor of the file lets all of the process's locks go; the kernel does not wait for the daemon's word.
  run.error("write lock by another after a close of another descriptor",
            Child([&] { return taken(run.seen("x"), F_SETLKW, F_WRLCK); }).result(), 0);
}

// close(2) of any descriptor lets all of the process's locks of the file go, whatever the descriptor was for.
void gone_with_a_close(Run& run) {
  for (const int flags : {O_RDWR, O_WRONLY, O_RDONLY, O_RDWR | O_CREAT, O_RDWR | O_CREAT | O_EXCL}) {
    run.put_content("x", "text", {0666, 0, 0});
    if ((flags & O_EXCL) != 0) run.clear("x");
    UniqueFd other(open(run.at("x").c_str(), flags | O_CLOEXEC, 0666));
    const UniqueFd holder = opened(run.at("x"));
    const std::string what = fmt::format("the lock after a close of a descriptor of flags {:o}", flags);
    run.error(what + ": taken", set(holder.get(), F_SETLK, F_WRLCK), 0);
    run.error(what + ": held", taken_by_another(run.seen("x"), F_SETLK, F_RDLCK), EAGAIN);
    other.reset();
    run.error(what, taken_by_another(run.seen("x"), F_SETLK, F_WRLCK), 0);
  }
}

void of_descriptions(Run& run) {
  run.put_content("x", "text", {0666, 0, 0});
  UniqueFd one = opened(run.at("x"));
  const UniqueFd two = opened(run.seen("x"));
  run.error("an OFD write lock", set(one.get(), F_OFD_SETLK, F_WRLCK), 0);
  run.error("another description of the same process", set(two.get(), F_OFD_SETLK, F_RDLCK), EAGAIN);
  const UniqueFd same(fcntl(one.get(), F_DUPFD_CLOEXEC, 0));
  run.error("a duplicate of the descriptor", set(same.get(), F_OFD_SETLK, F_WRLCK), 0);
  run.error("a fork with the descriptor", Child([&] { return set(one.get(), F_OFD_SETLK, F_RDLCK); }).result(), 0);
  run.error("read lock of another after the fork's downgrade", set(two.get(), F_OFD_SETLK, F_RDLCK), 0);
  run.error("upgrade while another reads", set(one.get(), F_OFD_SETLK, F_WRLCK), EAGAIN);
  run.error("the own POSIX lock against it", set(one.get(), F_SETLK, F_WRLCK), EAGAIN);
  struct flock with_pid = range_of(F_WRLCK, 0, 0);
  with_pid.l_pid = 1;
  run.fails("an OFD lock with l_pid", fcntl(one.get(), F_OFD_SETLK, &with_pid), EINVAL);
  one.reset();
  run.error("a duplicate keeps it", set(two.get(), F_OFD_SETLK, F_WRLCK), EAGAIN);
}

void asked_for(Run& run) {
  run.put_content("x", "text", {0666, 0, 0});
  const UniqueFd holder = opened(run.at("x"));
  run.error("a write lock of 10 bytes", set(holder.get(), F_SETLK, F_WRLCK, 100, 10), 0);
  const pid_t self = getpid();
  for (const auto& [where, path] : {std::pair{"the same mount", run.at("x")}, std::pair{"the other mount", run.seen("x")}}) {
    const auto ask = [&](int command, off_t start, off_t length, auto&& matches) {
      return Child([&] {
               struct flock lock = range_of(F_WRLCK, start, length);
               if (fcntl(opened(path).get(), command, &lock) != 0) return errno;
               return matches(lock) ? 0 : 250;
             })
          .result();
    };
    const std::string on = std::string(" on ") + where;
    run.same("F_GETLK names the range" + on,
             ask(F_GETLK, 0, 0, [](const auto& l) { return l.l_type == F_WRLCK && l.l_start == 100 && l.l_len == 10; }), 0);
    run.same("F_GETLK names the process" + on, ask(F_GETLK, 105, 1, [self](const auto& l) { return l.l_pid == self; }), 0);
    run.same("F_GETLK of what is free" + on, ask(F_GETLK, 0, 100, [](const auto& l) { return l.l_type == F_UNLCK; }), 0);
    run.same("F_OFD_GETLK names the range" + on,
             ask(F_OFD_GETLK, 0, 0, [](const auto& l) { return l.l_type == F_WRLCK && l.l_start == 100 && l.l_len == 10; }), 0);
  }
  struct flock own = range_of(F_WRLCK, 0, 0);
  run.works("F_GETLK of the own lock", fcntl(holder.get(), F_GETLK, &own));
  run.same("F_GETLK of the own lock is free", own.l_type, static_cast<short>(F_UNLCK));
  // Of several holders the one is named that stands in the way.
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return;
  const UniqueFd reading(ends[0]);
  const UniqueFd writing(ends[1]);
  Child second([&] {
    const UniqueFd file = opened(run.at("x"));
    if (set(file.get(), F_SETLK, F_WRLCK, 200, 10) != 0 || write(writing.get(), "x", 1) != 1) return 1;
    pause();
    return 0;
  });
  char byte = 0;
  run.same("a second holder", read(reading.get(), &byte, 1), 1);
  for (const auto& [where, path] : {std::pair{"the same mount", run.at("x")}, std::pair{"the other mount", run.seen("x")}}) {
    for (const auto& [start, pid] : {std::pair{100L, self}, std::pair{200L, second.pid()}}) {
      const int named = Child([&, at = start, process = pid] {
                          struct flock lock = range_of(F_RDLCK, at, 5);
                          return fcntl(opened(path).get(), F_GETLK, &lock) == 0 && lock.l_pid == process ? 0 : 250;
                        }).result();
      run.same(fmt::format("F_GETLK names the one of two holders that holds {}, on {}", start, where), named, 0);
    }
  }
}

void refused(Run& run) {
  run.put_content("x", "text", {0666, 0, 0});
  const UniqueFd reading = opened(run.at("x"), O_RDONLY);
  const UniqueFd writing = opened(run.at("x"), O_WRONLY);
  run.error("write lock of a descriptor for reading", set(reading.get(), F_SETLK, F_WRLCK), EBADF);
  run.error("read lock of a descriptor for writing", set(writing.get(), F_SETLK, F_RDLCK), EBADF);
  run.error("a lock at a negative offset", set(writing.get(), F_SETLK, F_WRLCK, -1, 1), EINVAL);
  run.error("an unknown type", set(writing.get(), F_SETLK, 77), EINVAL);
  run.error("a negative length", set(writing.get(), F_SETLK, F_WRLCK, 10, -5), 0);
  run.error("what it covers", taken_by_another(run.at("x"), F_SETLK, F_RDLCK, 5, 5), EAGAIN);
  run.error("what it does not cover", taken_by_another(run.at("x"), F_SETLK, F_RDLCK, 10, 1), 0);
  run.fails("flock of nothing", flock(writing.get(), 0), EINVAL);
  run.fails("flock of a bad descriptor", flock(-1, LOCK_EX), EBADF);
}

void waited_for(Run& run) {
  run.put_content("x", "text", {0666, 0, 0});
  for (const auto& [where, path] : {std::pair{"the same mount", run.at("x")}, std::pair{"the other mount", run.seen("x")}}) {
    for (const int command : {F_SETLKW, F_OFD_SETLKW}) {
      const UniqueFd holder = opened(run.at("x"));
      run.error("a write lock", set(holder.get(), command, F_WRLCK), 0);
      Child waiter([&] { return taken(path, command, F_RDLCK, 5, 1); });
      run.as_admin([&] { return waiter.until_it_waits_in(SYS_fcntl); });
      run.error("unlock", set(holder.get(), command, F_UNLCK), 0);
      run.same(fmt::format("who waits gets it, on {} ({})", where, command), waiter.result(), 0);
    }
    // A signal ends the wait.
    const UniqueFd holder = opened(run.at("x"));
    run.error("a write lock again", set(holder.get(), F_SETLKW, F_WRLCK), 0);
    Child interrupted([&] {
      struct sigaction action{};
      action.sa_handler = [](int) {};
      sigaction(SIGUSR1, &action, nullptr);
      return taken(path, F_SETLKW, F_WRLCK);
    });
    run.as_admin([&] { return interrupted.until_it_waits_in(SYS_fcntl); });
    int result = -2;
    // The signal may come before the call has begun to wait inside the file system: again, until it has an effect.
    for (int i = 0; i < 100'000 && result == -2; ++i) {
      kill(interrupted.pid(), SIGUSR1);
      siginfo_t ended{};
      if (waitid(P_PID, static_cast<id_t>(interrupted.pid()), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid != 0) {
        result = interrupted.result();
      }
    }
    run.same(fmt::format("a signal ends the wait, on {}", where), result, EINTR);
    // A killed waiter leaves nothing behind; a killed holder lets go.
    Child killed([&] { return taken(path, F_SETLKW, F_WRLCK); });
    run.as_admin([&] { return killed.until_it_waits_in(SYS_fcntl); });
    kill(killed.pid(), SIGKILL);
    run.same("a killed waiter", killed.result(), -1);
    run.error("unlock again", set(holder.get(), F_SETLK, F_UNLCK), 0);
    run.error(fmt::format("the lock after a killed waiter, on {}", where), taken_by_another(path, F_SETLKW, F_WRLCK), 0);
  }
}

void ended_with_the_process(Run& run) {
  run.put_content("x", "text", {0666, 0, 0});
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return;
  const UniqueFd reading(ends[0]);
  const UniqueFd writing(ends[1]);
  for (const int command : {F_SETLK, F_OFD_SETLK}) {
    Child holder([&] {
      const UniqueFd file = opened(run.at("x"));
      if (set(file.get(), command == F_SETLK ? F_SETLKW : F_OFD_SETLKW, F_WRLCK) != 0 || write(writing.get(), "x", 1) != 1)
        return 1;
      pause();
      return 0;
    });
    char byte = 0;
    run.same("the holder holds", read(reading.get(), &byte, 1), 1);
    run.error("its lock", taken_by_another(run.seen("x"), command, F_RDLCK), EAGAIN);
    Child waiter([&] { return taken(run.seen("x"), command == F_SETLK ? F_SETLKW : F_OFD_SETLKW, F_WRLCK); });
    run.as_admin([&] { return waiter.until_it_waits_in(SYS_fcntl); });
    kill(holder.pid(), SIGKILL);
    holder.result();
    run.same("who waits for a killed process's lock gets it", waiter.result(), 0);
  }
}

void flocks(Run& run) {
  run.put_content("x", "text", {0666, 0, 0});
  for (const std::string& path : {run.at("x"), run.seen("x")}) {
    const UniqueFd one = opened(run.at("x"), O_RDONLY);
    const UniqueFd two = opened(path, O_RDONLY);
    run.works("LOCK_SH", flock(one.get(), LOCK_SH));
    run.works("LOCK_SH of another", flock(two.get(), LOCK_SH | LOCK_NB));
    run.fails("LOCK_EX while another shares", flock(two.get(), LOCK_EX | LOCK_NB), EAGAIN);
    run.works("LOCK_UN", flock(one.get(), LOCK_UN));
    run.works("LOCK_EX after it", flock(two.get(), LOCK_EX | LOCK_NB));
    run.fails("LOCK_SH while another excludes", flock(one.get(), LOCK_SH | LOCK_NB), EAGAIN);
    run.error("a write lock by fcntl, which does not mind", taken_by_another(path, F_SETLK, F_WRLCK), 0);
    run.works("a duplicate lets go", flock(UniqueFd(fcntl(two.get(), F_DUPFD_CLOEXEC, 0)).get(), LOCK_UN));
    run.works("LOCK_EX of the first", flock(one.get(), LOCK_EX | LOCK_NB));
    Child waiter([&] { return error_of(flock(opened(path).get(), LOCK_EX)); });
    run.as_admin([&] { return waiter.until_it_waits_in(SYS_flock); });
    run.works("LOCK_UN at last", flock(one.get(), LOCK_UN));
    run.same("who waits gets it", waiter.result(), 0);
  }
  const UniqueFd directory(open(run.at("").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  run.works("flock of a directory", flock(directory.get(), LOCK_EX | LOCK_NB));
  const UniqueFd same(open(run.at("").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  run.fails("flock of a directory that another has", flock(same.get(), LOCK_EX | LOCK_NB), EAGAIN);
}

// Each of `count` processes holds a byte and waits for the next one's: the last to wait is told.
int deadlocks_among(Run& run, int count, bool other_mount) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return -1;
  const UniqueFd reading(ends[0]);
  const UniqueFd writing(ends[1]);
  std::array<int, 2> starts{};
  if (pipe2(starts.data(), O_CLOEXEC) != 0) return -1;
  const UniqueFd start(starts[0]);
  const UniqueFd starter(starts[1]);
  std::vector<std::unique_ptr<Child>> children;
  for (int i = 0; i < count; ++i) {
    children.push_back(std::make_unique<Child>([&] {
      const UniqueFd file = opened(other_mount && i % 2 == 1 ? run.seen("x") : run.at("x"));
      char byte = 0;
      if (set(file.get(), F_SETLK, F_WRLCK, i, 1) != 0 || write(writing.get(), "x", 1) != 1) return 1;
      if (read(start.get(), &byte, 1) != 1) return 2;
      return set(file.get(), F_SETLKW, F_WRLCK, (i + 1) % count, 1);
    }));
    char byte = 0;
    if (read(reading.get(), &byte, 1) != 1) return -1;
  }
  for (int i = 0; i < count; ++i) {
    if (write(starter.get(), "x", 1) != 1) return -1;
  }
  int told = 0;
  for (const auto& child : children) {
    const int result = child->result();
    if (result == EDEADLK) ++told;
    if (result != EDEADLK && result != 0) return -result;
  }
  return told;
}

void deadlocks(Run& run) {
  run.put_content("x", "text", {0666, 0, 0});
  for (const int count : {2, 3, 5}) {
    run.same(fmt::format("processes told EDEADLK of {}", count), deadlocks_among(run, count, false), 1);
    run.same(fmt::format("processes told EDEADLK of {} on two mounts", count), deadlocks_among(run, count, true), 1);
  }
}

// EFS: 512 locks a file, of all processes together.
void up_to_512(Run& run) {
  if (!run.shared()) return;
  run.put_content("x", "text", {0666, 0, 0});
  const UniqueFd file = opened(run.at("x"));
  const UniqueFd other = opened(run.seen("x"));
  int refused = 0;
  for (int i = 0; i < 512; ++i) refused += set((i % 2 == 0 ? file : other).get(), F_OFD_SETLK, F_WRLCK, 10 * i, 5) == 0 ? 0 : 1;
  run.same("locks refused of 512", refused, 0);
  run.error("lock number 513", set(file.get(), F_OFD_SETLK, F_WRLCK, 100'000, 5), ENOLCK);
  run.error("lock number 513 through the other mount", set(other.get(), F_OFD_SETLK, F_RDLCK, 100'000, 5), ENOLCK);
  run.error("more of the same lock", set(file.get(), F_OFD_SETLK, F_WRLCK, 0, 6), 0);
  run.error("unlock of one", set(file.get(), F_OFD_SETLK, F_UNLCK, 0, 6), 0);
  run.error("lock number 512 again", set(other.get(), F_OFD_SETLK, F_WRLCK, 100'000, 5), 0);
  run.error("unlock of all", set(file.get(), F_OFD_SETLK, F_UNLCK), 0);
  run.error("a lock after it", set(other.get(), F_OFD_SETLK, F_WRLCK, 200'000, 5), 0);
}

}  // namespace

std::vector<Scenario> lock_scenarios() {
  return {{"LockConflicts", conflicts},
          {"LocksOfOneProcess", of_one_process},
          {"LocksGoneWithAClose", gone_with_a_close},
          {"LocksOfDescriptions", of_descriptions},
          {"LocksAskedFor", asked_for},
          {"LocksRefused", refused},
          {"LocksWaitedFor", waited_for},
          {"LocksOfDeadProcesses", ended_with_the_process},
          {"Flocks", flocks},
          {"LockDeadlocks", deadlocks},
          {"LocksUpTo512", up_to_512}};
}

}  // namespace berth::posix

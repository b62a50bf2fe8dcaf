// bench_operations KIND ...: single operations on files, a rate a line ("name<TAB>operations a second"). What each job works on
// is a directory of its own.
//
//   names DIRECTORY BACKING COUNT JOBS [OTHER]   operations on names, COUNT files in each job's directory
//   appends DIRECTORY COUNT JOBS                 slices of COUNT, or a multiple, appending writes of 100 bytes, then of 4 KiB
//   locks DIRECTORY COUNT JOBS                   slices of COUNT locks taken and let go, by flock and by fcntl
//   tree DIRECTORY COUNT                         makes COUNT empty files, a thousand in a directory; prints nothing
//   pause DIRECTORY                              operations until standard input ends: how many, and how long the longest took
//
// BACKING is DIRECTORY as its file system sees it: what a mount is to see for the first time is made there. OTHER is the same
// directory through another mount, which is made to know every name, missing ones too, before each measurement.
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "names.hpp"
#include "slices.hpp"

namespace {

using namespace berth::bench;

void appends(const std::string& directory, int count, unsigned jobs) {
  Jobs all(jobs);
  const auto path = [&](unsigned job) { return nth(directory, "append", static_cast<int>(job)); };
  const std::array<std::pair<const char*, std::size_t>, 2> kinds{{{"append 100 B", 100}, {"append 4 KiB", 4096}}};
  for (const auto& [name, size] : kinds) {
    for (unsigned job = 0; job < jobs; ++job) make_file(path(job), 0);
    std::vector<int> files;  // open before the clock runs
    for (unsigned job = 0; job < jobs; ++job) {
      files.push_back(open(path(job).c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
      check(files.back() >= 0, "open");
    }
    const std::string content(size, 'x');
    print(name, best_rate(all, [&](unsigned job) {
            const auto until = Clock::now() + kLongEnough;
            std::uint64_t done = 0;
            do {
              for (int i = 0; i < count; ++i)
                check(write(files[job], content.data(), size) == static_cast<ssize_t>(size), "write");
              done += static_cast<std::uint64_t>(count);
            } while (Clock::now() < until);
            return done;
          }));
    for (unsigned job = 0; job < jobs; ++job) check(close(files[job]) == 0 && unlink(path(job).c_str()) == 0, "unlink");
  }
}

bool fcntl_lock(int fd, short type) {
  struct flock lock{};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_len = 1;
  return fcntl(fd, F_SETLK, &lock) == 0;
}

void locks(const std::string& directory, int count, unsigned jobs) {
  Jobs all(jobs);
  const auto path = [&](unsigned job) { return nth(directory, "lock", static_cast<int>(job)); };
  for (unsigned job = 0; job < jobs; ++job) make_file(path(job), 1);
  const auto measure = [&](const char* name, const std::function<bool(int)>& pair) {
    print(name, best_rate(all, [&](unsigned job) {
            const int fd = open(path(job).c_str(), O_RDWR | O_CLOEXEC);
            for (int i = 0; i < count; ++i) check(fd >= 0 && pair(fd), name);
            return static_cast<std::uint64_t>(count);
          }));
  };
  measure("flock, pairs", [](int fd) { return flock(fd, LOCK_EX | LOCK_NB) == 0 && flock(fd, LOCK_UN) == 0; });
  measure("fcntl lock, pairs", [](int fd) { return fcntl_lock(fd, F_WRLCK) && fcntl_lock(fd, F_UNLCK); });
  for (unsigned job = 0; job < jobs; ++job) check(unlink(path(job).c_str()) == 0, "unlink");
}

void tree(const std::string& directory, int count) {
  for (int i = 0; i < count; ++i) {
    const std::string parent = nth(directory, "d", i / 1000);
    if (i % 1000 == 0) check(mkdir(parent.c_str(), 0755) == 0, "mkdir");
    const int fd = open(nth(parent, "f", i).c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
    check(fd >= 0 && close(fd) == 0, "create");
  }
}

bool ended(int fd) {
  struct pollfd input{fd, POLLIN, 0};
  return poll(&input, 1, 0) > 0;
}

void pause_of(const std::string& directory) {
  std::uint64_t operations = 0;
  Seconds longest{};
  auto begun = Clock::now();
  const auto done = [&](bool well, const char* what) {
    check(well, what);
    const auto now = Clock::now();
    longest = std::max(longest, Seconds(now - begun));
    begun = now;
    ++operations;
  };
  for (int i = 0; !ended(STDIN_FILENO); ++i) {
    const std::string first = nth(directory, "p", i);
    const std::string second = nth(directory, "q", i);
    begun = Clock::now();
    const int fd = open(first.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0644);
    done(fd >= 0, "create");
    done(write(fd, "x", 1) == 1, "write");
    done(fsync(fd) == 0, "fsync");
    done(close(fd) == 0, "close");
    done(rename(first.c_str(), second.c_str()) == 0, "rename");
    done(access(first.c_str(), F_OK) != 0 && errno == ENOENT, "look for a name that is gone");
    done(unlink(second.c_str()) == 0, "unlink");
  }
  std::printf("operations\t%llu\nlongest\t%.6f\n", static_cast<unsigned long long>(operations), longest.count());
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view kind = argc > 1 ? argv[1] : "";
  const auto number = [&](int i) { return std::atoi(argv[i]); };
  if (kind == "names" && (argc == 6 || argc == 7)) {
    measure_names(argv[2], argv[3], number(4), static_cast<unsigned>(number(5)), argc == 7 ? argv[6] : "");
  } else if (kind == "appends" && argc == 5) {
    appends(argv[2], number(3), static_cast<unsigned>(number(4)));
  } else if (kind == "locks" && argc == 5) {
    locks(argv[2], number(3), static_cast<unsigned>(number(4)));
  } else if (kind == "tree" && argc == 4) {
    tree(argv[2], number(3));
  } else if (kind == "pause" && argc == 3) {
    pause_of(argv[2]);
  } else {
    std::fprintf(stderr, "usage: bench_operations names|appends|locks|tree|pause ...: see the head of operations.cpp\n");
    return 2;
  }
  return 0;
}

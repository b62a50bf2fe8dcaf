// bench_operations KIND ...: single operations on files, a rate a line ("name<TAB>operations a second"). What each job works on
// is a directory of its own.
//
//   names DIRECTORY BACKING COUNT JOBS [OTHER]   operations on names, COUNT files in each job's directory
//   appends DIRECTORY COUNT JOBS                 slices of COUNT appending writes of 100 bytes, then of 4 KiB
//   locks DIRECTORY COUNT JOBS                   slices of COUNT locks taken and let go, by flock and by fcntl
//
// BACKING is DIRECTORY as its file system sees it: what a mount is to see for the first time is made there. OTHER is the same
// directory through another mount, which is made to know every name, missing ones too, before each measurement.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

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
    const std::string content(size, 'x');
    const auto append = [&, size = size](unsigned job) {
      const int fd = open(path(job).c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
      check(fd >= 0, "open");
      for (int i = 0; i < count; ++i) check(write(fd, content.data(), size) == static_cast<ssize_t>(size), "write");
      return static_cast<std::uint64_t>(count);
    };
    print(name, best_rate(all, append));
    for (unsigned job = 0; job < jobs; ++job) check(unlink(path(job).c_str()) == 0, "unlink");
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
  } else {
    std::fprintf(stderr,
                 "usage: bench_operations names DIRECTORY BACKING COUNT JOBS [OTHER] | appends|locks DIRECTORY COUNT JOBS\n");
    return 2;
  }
  return 0;
}

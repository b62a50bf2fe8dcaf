// utimensat and what the times of a file do when it is used.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "broker/base/unique_fd.hpp"
#include "tests/posix/scenarios.hpp"

namespace berth::posix {
namespace {

std::string text_of(const timespec& time) { return fmt::format("{}.{:09}", time.tv_sec, time.tv_nsec); }

void to_every_time(Run& run) {
  for (const Type type : kTypes) {
    run.put("x", type, {0644, kOwner.uid, kOwner.gid});
    for (const timespec time : {timespec{0, 0}, timespec{1, 1}, timespec{1'000'000'000, 123'456'789}, timespec{-1, 0},
                                timespec{-1'000'000'000, 999'999'999}, timespec{0x7fffffff, 999'999'999},
                                timespec{0x80000000L, 5}, timespec{15'000'000'000, 1}}) {
      const auto before = run.look("x");
      run.let_time_pass();
      const std::array<timespec, 2> times{time, timespec{time.tv_sec + 1, time.tv_nsec}};
      const std::string what = fmt::format("utimensat {} of {}", text_of(time), name_of(type));
      run.error(
          what,
          run.as(kOwner, [&] { return error_of(utimensat(AT_FDCWD, run.at("x").c_str(), times.data(), AT_SYMLINK_NOFOLLOW)); }),
          0);
      const auto after = run.look("x");
      run.same(what + ": access time", text_of(after.st_atim), text_of(times[0]));
      // ext4 keeps times up to 2446.
      run.same(what + ": modification time", text_of(after.st_mtim), text_of(times[1]));
      run.is(what + ": change time", after.st_ctim.tv_sec >= before.st_ctim.tv_sec && after.st_ctim.tv_sec > 1'500'000'000);
    }
  }
}

void one_of_both(Run& run) {
  for (const Type type : {Type::file, Type::directory, Type::fifo}) {
    run.put("x", type, {0644, kOwner.uid, kOwner.gid});
    const std::array<timespec, 2> old{timespec{100, 5}, timespec{200, 6}};
    const timespec now{0, UTIME_NOW};
    const timespec omit{0, UTIME_OMIT};
    struct Case {
      const char* name;
      std::array<timespec, 2> times;
      const char* changed;
    };
    for (const Case& c :
         {Case{"now, omit", {now, omit}, "ac"}, Case{"omit, now", {omit, now}, "mc"}, Case{"now, now", {now, now}, "amc"},
          Case{"omit, omit", {omit, omit}, ""}, Case{"given, omit", {timespec{7, 7}, omit}, "ac"},
          Case{"omit, given", {omit, timespec{8, 8}}, "mc"}, Case{"now, given", {now, timespec{8, 8}}, "amc"}}) {
      run.as_admin([&] { return utimensat(AT_FDCWD, run.admin("x").c_str(), old.data(), 0); });
      const auto before = run.look("x");
      run.let_time_pass();
      const std::string what = fmt::format("utimensat {} of {}", c.name, name_of(type));
      run.error(what, run.as(kOwner, [&] { return error_of(utimensat(AT_FDCWD, run.at("x").c_str(), c.times.data(), 0)); }), 0);
      const auto after = run.look("x");
      run.times(what, before, after, c.changed);
      if (std::string_view{c.changed}.find('a') == std::string_view::npos) {
        run.same(what + ": access time stays", text_of(after.st_atim), text_of(before.st_atim));
      }
    }
  }
}

void refused(Run& run) {
  run.put("x", Type::file);
  for (const std::array<timespec, 2> times :
       {std::array{timespec{0, 1'000'000'000}, timespec{0, 0}}, std::array{timespec{0, 0}, timespec{0, -1}},
        std::array{timespec{0, 0x3ffffffd}, timespec{0, 0}}}) {
    run.fails("utimensat with wrong nanoseconds", utimensat(AT_FDCWD, run.at("x").c_str(), times.data(), 0), EINVAL);
  }
  run.fails("utimensat with unknown flags", utimensat(AT_FDCWD, run.at("x").c_str(), nullptr, 0x4000), EINVAL);
}

struct Use {
  const char* name;
  int flags;
  int (*use)(int fd, const std::string& path);
  const char* changed;
};

int map_and_write(int fd, const std::string&) {
  void* at = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) return -1;
  *static_cast<char*>(at) = 'm';
  const int synced = msync(at, 4096, MS_SYNC);
  munmap(at, 4096);
  return synced;
}

void when_used(Run& run) {
  for (const Use& use : {
           Use{"open and close", O_RDWR, [](int, const std::string&) { return 0; }, ""},
           Use{"pwrite", O_RDWR, [](int fd, const std::string&) { return static_cast<int>(pwrite(fd, "y", 1, 0)); }, "mc"},
           Use{"pwrite of nothing", O_RDWR, [](int fd, const std::string&) { return static_cast<int>(pwrite(fd, "y", 0, 0)); },
               ""},
           Use{"append", O_WRONLY | O_APPEND, [](int fd, const std::string&) { return static_cast<int>(write(fd, "y", 1)); },
               "mc"},
           Use{"pread", O_RDONLY,
               [](int fd, const std::string&) {
                 char c = 0;
                 return static_cast<int>(pread(fd, &c, 1, 0));
               },
               "a"},
           Use{"pread at the end", O_RDONLY,
               [](int fd, const std::string&) {
                 char c = 0;
                 return static_cast<int>(pread(fd, &c, 1, 1000));
               },
               "a"},
           Use{"pread O_NOATIME", O_RDONLY | O_NOATIME,
               [](int fd, const std::string&) {
                 char c = 0;
                 return static_cast<int>(pread(fd, &c, 1, 0));
               },
               ""},
           Use{"open O_TRUNC", O_WRONLY,
               [](int, const std::string& path) { return UniqueFd(open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC)) ? 0 : -1; },
               "mc"},
           Use{"ftruncate to the same size", O_RDWR, [](int fd, const std::string&) { return ftruncate(fd, 4); }, "mc"},
           Use{"truncate to the same size", O_RDWR, [](int, const std::string& path) { return truncate(path.c_str(), 4); }, "mc"},
           Use{"writing to a shared mapping", O_RDWR, map_and_write, "mc"},
           Use{"fsync", O_RDWR, [](int fd, const std::string&) { return fsync(fd); }, ""},
           Use{"fchmod to the same mode", O_RDWR, [](int fd, const std::string&) { return fchmod(fd, 0644); }, "c"},
           Use{"fchown to nobody else", O_RDWR,
               [](int fd, const std::string&) { return fchown(fd, static_cast<uid_t>(-1), static_cast<gid_t>(-1)); }, "c"},
       }) {
    run.put_content("x", "text", {0644, kOwner.uid, kOwner.gid});
    const std::array<timespec, 2> old{timespec{100, 5}, timespec{200, 6}};
    run.as_admin([&] { return utimensat(AT_FDCWD, run.admin("x").c_str(), old.data(), 0); });
    const auto before = run.look("x");
    run.let_time_pass();
    const int got = run.as(kOwner, [&] {
      const UniqueFd file(open(run.at("x").c_str(), use.flags | O_CLOEXEC));
      return file ? error_of(use.use(file.get(), run.at("x"))) : errno;
    });
    run.error(use.name, got, 0);
    const auto after = run.look("x");
    run.times(use.name, before, after, use.changed);
    if (std::string_view{use.changed}.empty())
      run.same(fmt::format("{}: access time stays", use.name), text_of(after.st_atim), text_of(before.st_atim));
  }
}

void nothing_changes_where_refused(Run& run) {
  run.put_content("x", "text", {0644, kOwner.uid, kOwner.gid});
  const auto before = run.look("x");
  run.let_time_pass();
  const std::string path = run.at("x");
  run.as(kStranger, [&] {
    static_cast<void>(chmod(path.c_str(), 0777));
    static_cast<void>(chown(path.c_str(), 5, 5));
    static_cast<void>(truncate(path.c_str(), 0));
    static_cast<void>(utimensat(AT_FDCWD, path.c_str(), nullptr, 0));
    static_cast<void>(link(path.c_str(), run.at("y").c_str()));
    static_cast<void>(unlink((path + "/z").c_str()));
    return 0;
  });
  if (run.effective(kStranger).uid != kOwner.uid) run.times("what a stranger is refused", before, run.look("x"), "");
}

}  // namespace

std::vector<Scenario> time_scenarios() {
  return {{"UtimensatToEveryTime", to_every_time},
          {"UtimensatOfOneTime", one_of_both},
          {"UtimensatRefused", refused},
          {"TimesWhenUsed", when_used},
          {"TimesWhenRefused", nothing_changes_where_refused}};
}

}  // namespace berth::posix

// chmod and its kin, umask.
#include <fcntl.h>
#include <unistd.h>

#include "broker/base/unique_fd.hpp"
#include "tests/posix/scenarios.hpp"

namespace berth::posix {
namespace {

constexpr std::array<mode_t, 12> kModes{0, 0111, 0222, 0444, 0640, 0755, 0777, 01777, 02755, 04755, 06711, 07777};

// Every mode on every type, by the owner: the bits, the time of change, and nothing else.
void every_mode(Run& run) {
  for (const Type type : kTypes) {
    if (type == Type::link) continue;
    run.put("x", type, {0600, kOwner.uid, kOwner.gid});
    for (const mode_t mode : kModes) {
      const std::string what = fmt::format("chmod {:04o} of {}", mode, name_of(type));
      const auto before = run.look("x");
      run.let_time_pass();
      run.error(what, run.as(kOwner, [&] { return error_of(chmod(run.at("x").c_str(), mode)); }), 0);
      const auto after = run.look("x");
      run.mode(what + ": mode", after.st_mode, mode);
      run.times(what, before, after, "c");
    }
  }
}

void through_links_and_descriptors(Run& run) {
  for (const Type type : {Type::file, Type::directory}) {
    run.put("x", type, {0600, kOwner.uid, kOwner.gid});
    run.put("l", Type::link, {}, "x");
    for (const mode_t mode : kModes) {
      const std::string what = fmt::format("{:04o} of {}", mode, name_of(type));
      run.error("chmod through a symlink " + what, run.as(kOwner, [&] { return error_of(chmod(run.at("l").c_str(), mode)); }), 0);
      run.mode("chmod through a symlink: mode " + what, run.look("x").st_mode, mode);
      run.as_admin([&] { return chmod(run.admin("x").c_str(), 0600); });
      run.error("fchmod " + what,
                run.as(kOwner,
                       [&] {
                         const UniqueFd file(open(run.at("x").c_str(), O_RDONLY | O_CLOEXEC));
                         return error_of(fchmod(file.get(), mode));
                       }),
                0);
      run.mode("fchmod: mode " + what, run.look("x").st_mode, mode);
      run.as_admin([&] { return chmod(run.admin("x").c_str(), 0600); });
    }
  }
  run.fails("fchmodat of a symlink itself", fchmodat(AT_FDCWD, run.at("l").c_str(), 0600, AT_SYMLINK_NOFOLLOW), EOPNOTSUPP);
}

// Only the owner may, and whoever is not of the file's group loses the sgid bit.
void by_everyone(Run& run) {
  for (const Type type : {Type::file, Type::directory, Type::fifo}) {
    for (const User& asked : kUsers) {
      const User user = run.effective(asked);
      for (const mode_t mode : {0600U, 0777U, 01755U, 02770U, 04711U, 06777U}) {
        run.put("x", type, {0644, kOwner.uid, kOwner.gid});
        const auto before = run.look("x");
        run.let_time_pass();
        const bool allowed = user.uid == 0 || user.uid == kOwner.uid;
        const std::string what = fmt::format("chmod {:04o} of {} by {}", mode, name_of(type), asked.name);
        run.error(what, run.as(asked, [&] { return error_of(chmod(run.at("x").c_str(), mode)); }), allowed ? 0 : EPERM);
        const auto after = run.look("x");
        run.mode(what + ": mode", after.st_mode, allowed ? mode : 0644U);
        run.times(what, before, after, allowed ? "c" : "");
      }
    }
  }
}

void sgid_of_a_foreign_group(Run& run) {
  for (const Type type : {Type::file, Type::directory, Type::fifo}) {
    for (const gid_t group : {kOwner.gid, 5000U, 6000U}) {
      for (const User& asked : {kOwner, kRoot}) {
        const User user = run.effective(asked);
        run.put("x", type, {0644, kOwner.uid, group});
        const int got = run.as(asked, [&] { return error_of(chmod(run.at("x").c_str(), 02755)); });
        const std::string what = fmt::format("chmod 2755 of {} of group {} by {}", name_of(type), group, asked.name);
        const bool allowed = user.uid == 0 || user.uid == kOwner.uid;
        run.error(what, got, allowed ? 0 : EPERM);
        run.mode(what + ": mode", run.look("x").st_mode,
                 !allowed                                 ? 0644U
                 : user.uid == 0 || in_group(user, group) ? 02755U
                                                          : 0755U);
      }
    }
  }
}

struct Maker {
  const char* name;
  int (*make)(const char* path, mode_t mode);
  mode_t kept;  // of what is asked for, besides the umask
};
constexpr std::array<Maker, 5> kMakers{{
    {"mkdir", [](auto path, mode_t mode) { return mkdir(path, mode); }, 01777},
    {"mkfifo", [](auto path, mode_t mode) { return mkfifo(path, mode); }, 07777},
    {"mknod", [](auto path, mode_t mode) { return mknod(path, S_IFREG | mode, 0); }, 07777},
    {"mknod of a socket", [](auto path, mode_t mode) { return mknod(path, S_IFSOCK | mode, 0); }, 07777},
    {"open",
     [](auto path, mode_t mode) {
       const UniqueFd file(open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, mode));
       return file ? 0 : -1;
     },
     07777},
}};

void masked(Run& run) {
  run.put("d", Type::directory, {0777, kOwner.uid, kOwner.gid});
  for (const Maker& maker : kMakers) {
    for (const mode_t mask : {0U, 022U, 027U, 077U, 0345U, 0777U}) {
      for (const mode_t mode : {0777U, 0666U, 0640U, 01777U, 0U}) {
        run.clear("d/x");
        const int got = run.as(kOwner, [&] {
          umask(mask);
          const int error = error_of(maker.make(run.at("d/x").c_str(), mode));
          umask(0);
          return error;
        });
        const std::string what = fmt::format("{} {:04o} under umask {:03o}", maker.name, mode, mask);
        run.error(what, got, 0);
        run.mode(what + ": mode", run.look("d/x").st_mode, mode & ~mask & maker.kept);
      }
    }
  }
}

}  // namespace

std::vector<Scenario> mode_scenarios() {
  return {{"ChmodToEveryMode", every_mode},
          {"ChmodThroughLinks", through_links_and_descriptors},
          {"ChmodByEveryone", by_everyone},
          {"ChmodSgidOfForeignGroups", sgid_of_a_foreign_group},
          {"Umask", masked}};
}

}  // namespace berth::posix

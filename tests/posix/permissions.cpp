// Who may do what: every call, as every user, with every combination of the bits that are meant for that user.
#include <fcntl.h>
#include <unistd.h>

#include "broker/base/unique_fd.hpp"
#include "tests/posix/calls.hpp"
#include "tests/posix/scenarios.hpp"

namespace berth::posix {
namespace {

// The bits for the class that `user` is in; all others get the opposite, so that a look at the wrong class is found.
mode_t mode_for(const User& user, mode_t bits) {
  const mode_t others = ~bits & 7U;
  if (user.uid == kOwner.uid) return (bits << 6U) | (others << 3U) | others;
  if (in_group(user, kOwner.gid)) return (others << 6U) | (bits << 3U) | others;
  return (others << 6U) | (others << 3U) | bits;
}

constexpr Owned kOwners{0666, kOwner.uid, kOwner.gid};

int wanted_for(const PathCall& call, const User& user, mode_t directory_mode) {
  const Object directory{kOwner.uid, kOwner.gid, directory_mode, true};
  if (!may(user, directory, X_OK)) return EACCES;
  if (call.changes && !may(user, directory, W_OK)) return EACCES;
  if (call.owner_only && user.uid != 0 && user.uid != kOwner.uid) return EPERM;
  return 0;
}

void of_the_directory(Run& run) {
  run.put("aside", Type::directory, {0777, kOwner.uid, kOwner.gid});
  run.put("d", Type::directory, {0777, kOwner.uid, kOwner.gid});
  for (const PathCall& call : path_calls()) {
    set_scene(run, call, "d/x", kOwners);
    for (const User& asked : kUsers) {
      const User user = run.effective(asked);
      for (mode_t bits = 0; bits < 8; ++bits) {
        const mode_t mode = mode_for(user, bits);
        run.as_admin([&] { return chmod(run.admin("d").c_str(), mode); });
        const std::string path = run.at("d/x");
        const std::string aside = run.at("aside/other");
        const int got = run.as(asked, [&] { return call.call(path.c_str(), aside.c_str()); });
        run.error(fmt::format("{} by {} in a directory of mode {:03o}", call.name, asked.name, mode), got,
                  wanted_for(call, user, mode));
        const bool link_made = std::string_view{call.name} == "link of";
        if (got == 0 && (call.uses_up || link_made)) set_scene(run, call, "d/x", kOwners);
      }
    }
  }
}

struct Opening {
  const char* name;
  int flags;
  int wants;
};
constexpr std::array<Opening, 5> kOpenings{{{"O_RDONLY", O_RDONLY, R_OK},
                                            {"O_WRONLY", O_WRONLY, W_OK},
                                            {"O_RDWR", O_RDWR, R_OK | W_OK},
                                            {"O_RDONLY|O_TRUNC", O_RDONLY | O_TRUNC, R_OK | W_OK},
                                            {"O_WRONLY|O_APPEND", O_WRONLY | O_APPEND, W_OK}}};

void of_the_file_itself(Run& run) {
  for (const Type type : {Type::file, Type::directory, Type::fifo}) {
    run.put("x", type, {0777, kOwner.uid, kOwner.gid});
    for (const User& asked : kUsers) {
      const User user = run.effective(asked);
      for (mode_t bits = 0; bits < 8; ++bits) {
        const Object object{kOwner.uid, kOwner.gid, mode_for(user, bits), type == Type::directory};
        run.as_admin([&] { return chmod(run.admin("x").c_str(), object.mode); });
        const std::string who = fmt::format("{} of mode {:03o} by {}", name_of(type), object.mode, asked.name);
        for (const Opening& opening : kOpenings) {
          if (type != Type::file && opening.flags != O_RDONLY) continue;
          const int got = run.as(asked, [&] {
            const UniqueFd file(open(run.at("x").c_str(), opening.flags | O_NONBLOCK | O_CLOEXEC));
            return file ? 0 : errno;
          });
          run.error(fmt::format("open {} of {}", opening.name, who), got, may(user, object, opening.wants) ? 0 : EACCES);
        }
        for (int mask = 1; mask < 8; ++mask) {
          const int wanted = may(user, object, mask) ? 0 : EACCES;
          const int got = run.as(asked, [&] { return error_of(access(run.at("x").c_str(), mask)); });
          run.error(fmt::format("access {} of {}", mask, who), got, wanted);
          if (mask != 1 && mask != 6) continue;
          const int effective =
              run.as(asked, [&] { return error_of(faccessat(AT_FDCWD, run.at("x").c_str(), mask, AT_EACCESS)); });
          run.error(fmt::format("faccessat AT_EACCESS {} of {}", mask, who), effective, wanted);
        }
      }
    }
  }
}

void of_truncation_and_times(Run& run) {
  run.put("x", Type::file, kOwners);
  for (const User& asked : kUsers) {
    const User user = run.effective(asked);
    for (mode_t bits = 0; bits < 8; ++bits) {
      const Object object{kOwner.uid, kOwner.gid, mode_for(user, bits)};
      run.as_admin([&] { return chmod(run.admin("x").c_str(), object.mode); });
      const std::string who = fmt::format("a file of mode {:03o} by {}", object.mode, asked.name);
      const bool owns = user.uid == 0 || user.uid == kOwner.uid;
      const std::string path = run.at("x");
      run.error("truncate of " + who, run.as(asked, [&] { return error_of(truncate(path.c_str(), 5)); }),
                may(user, object, W_OK) ? 0 : EACCES);
      run.error("utimensat to now of " + who,
                run.as(asked, [&] { return error_of(utimensat(AT_FDCWD, path.c_str(), nullptr, 0)); }),
                owns || may(user, object, W_OK) ? 0 : EACCES);
      const std::array<timespec, 2> now{timespec{0, UTIME_NOW}, timespec{0, UTIME_NOW}};
      run.error("utimensat UTIME_NOW twice of " + who,
                run.as(asked, [&] { return error_of(utimensat(AT_FDCWD, path.c_str(), now.data(), 0)); }),
                owns || may(user, object, W_OK) ? 0 : EACCES);
      for (const auto& times :
           {std::array{timespec{0, UTIME_NOW}, timespec{0, UTIME_OMIT}}, std::array{timespec{5, 0}, timespec{0, UTIME_NOW}},
            std::array{timespec{0, UTIME_OMIT}, timespec{7, 0}}}) {
        run.error("utimensat of one time of " + who,
                  run.as(asked, [&] { return error_of(utimensat(AT_FDCWD, path.c_str(), times.data(), 0)); }), owns ? 0 : EPERM);
      }
      const std::array<timespec, 2> omit{timespec{0, UTIME_OMIT}, timespec{0, UTIME_OMIT}};
      run.error("utimensat UTIME_OMIT twice of " + who,
                run.as(asked, [&] { return error_of(utimensat(AT_FDCWD, path.c_str(), omit.data(), 0)); }), 0);
    }
  }
}

// A descriptor keeps what it was opened for, whatever becomes of the mode.
void of_open_descriptors(Run& run) {
  run.put_content("x", "text", kOwners);
  for (const User& user : kUsers) {
    const int got = run.as(user, [&] {
      const UniqueFd file(open(run.at("x").c_str(), O_RDWR | O_CLOEXEC));
      if (!file) return errno;
      run.as_admin([&] { return chmod(run.admin("x").c_str(), 0); });
      char byte = 'x';
      if (pread(file.get(), &byte, 1, 0) != 1 || pwrite(file.get(), &byte, 1, 0) != 1) return errno;
      return error_of(ftruncate(file.get(), 4));
    });
    run.error(fmt::format("reading, writing and truncating what {} has open", user.name), got, 0);
    run.as_admin([&] { return chmod(run.admin("x").c_str(), 0666); });
  }
}

// The path is checked afresh for each call: what was looked up before does not matter.
void taken_away_from_a_known_path(Run& run) {
  run.put("d", Type::directory, {0755, kOwner.uid, kOwner.gid});
  run.put("d/e", Type::directory, {0755, kOwner.uid, kOwner.gid});
  run.put("d/e/x", Type::file, {0644, kOwner.uid, kOwner.gid});
  struct stat found{};
  for (const User& asked : kUsers) {
    const User user = run.effective(asked);
    const auto stat_it = [&] { return run.as(asked, [&] { return error_of(stat(run.at("d/e/x").c_str(), &found)); }); };
    run.error(fmt::format("stat by {}", asked.name), stat_it(), 0);
    for (const char* name : {"d", "d/e"}) {
      for (const mode_t mode : {0700U, 0070U, 0007U, 0600U, 0U}) {
        run.as_admin([&] { return chmod(run.admin(name).c_str(), mode); });
        const bool allowed = may(user, {kOwner.uid, kOwner.gid, mode, true}, X_OK);
        run.error(fmt::format("stat by {} once {} has mode {:03o}", asked.name, name, mode), stat_it(), allowed ? 0 : EACCES);
      }
      run.as_admin([&] { return chmod(run.admin(name).c_str(), 0755); });
    }
  }
}

}  // namespace

std::vector<Scenario> permission_scenarios() {
  return {{"RightsOfTheDirectory", of_the_directory},
          {"RightsOfTheFile", of_the_file_itself},
          {"RightsToTruncateAndTouch", of_truncation_and_times},
          {"RightsOfOpenDescriptors", of_open_descriptors},
          {"RightsTakenAway", taken_away_from_a_known_path}};
}

}  // namespace berth::posix

// Sticky directories: a name goes only by the hand of the file's owner, the directory's or root.
#include <fcntl.h>
#include <unistd.h>

#include "tests/posix/scenarios.hpp"

namespace berth::posix {
namespace {

struct Taking {
  const char* name;
  int (*take)(const char* path, const char* aside);
};

int take_by_removal(const char* path, const char*) {
  if (unlink(path) == 0) return 0;
  return errno == EISDIR ? error_of(rmdir(path)) : errno;
}
constexpr std::array<Taking, 4> kTakings{{
    {"removing", take_by_removal},
    {"renaming", [](auto path, auto aside) { return error_of(rename(path, aside)); }},
    {"renaming over", [](auto path, auto aside) { return error_of(rename(aside, path)); }},
    {"exchanging", [](auto path, auto aside) { return error_of(renameat2(AT_FDCWD, aside, AT_FDCWD, path, RENAME_EXCHANGE)); }},
}};

void takings(Run& run) {
  run.put("free", Type::directory, {0777, 0, 0});
  for (const Type type : {Type::file, Type::directory, Type::link, Type::fifo}) {
    for (const uid_t directory_owner : {kOwner.uid, kMate.uid, 0U}) {
      for (const uid_t file_owner : {kOwner.uid, kMate.uid, kStranger.uid}) {
        for (const User& asked : kUsers) {
          const User user = run.effective(asked);
          const bool allowed = user.uid == 0 || user.uid == directory_owner || user.uid == file_owner;
          for (const Taking& taking : kTakings) {
            run.put("d", Type::directory, {01777, directory_owner, 0});
            run.put("d/x", type, {0777, file_owner, 0});
            if (taking.take == kTakings[2].take || taking.take == kTakings[3].take) {
              run.put("free/y", type, {0777, user.uid, 0});
            } else {
              run.clear("free/y");
            }
            const std::string path = run.at("d/x");
            const std::string aside = run.at("free/y");
            run.error(fmt::format("{} {} of {} in a sticky directory of {} by {}", taking.name, name_of(type), file_owner,
                                  directory_owner, asked.name),
                      run.as(asked, [&] { return taking.take(path.c_str(), aside.c_str()); }), allowed ? 0 : EPERM);
          }
        }
      }
    }
  }
}

void adding_is_free(Run& run) {
  run.put("d", Type::directory, {01777, 0, 0});
  for (const User& user : kUsers) {
    run.clear("d/x");
    run.error(fmt::format("mkdir in a sticky directory by {}", user.name),
              run.as(user, [&] { return error_of(mkdir(run.at("d/x").c_str(), 0755)); }), 0);
    run.error(fmt::format("rmdir of the own by {}", user.name),
              run.as(user, [&] { return error_of(rmdir(run.at("d/x").c_str())); }), 0);
  }
}

}  // namespace

std::vector<Scenario> sticky_scenarios() {
  return {{"StickyDirectories", takings}, {"StickyDirectoriesTakeNewNames", adding_is_free}};
}

}  // namespace berth::posix

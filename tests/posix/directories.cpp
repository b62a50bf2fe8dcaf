// Listing, positions in directories, working directories.
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <set>

#include "broker/base/unique_fd.hpp"
#include "tests/posix/scenarios.hpp"

namespace berth::posix {
namespace {

struct CloseStream {
  void operator()(DIR* stream) const { closedir(stream); }
};
using Stream = std::unique_ptr<DIR, CloseStream>;

std::multiset<std::string> rest_of(DIR* stream) {
  std::multiset<std::string> names;
  while (const dirent* entry = readdir(stream)) names.insert(entry->d_name);
  return names;
}

std::string joined(const std::multiset<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += name + " ";
  return text;
}

void listed(Run& run) {
  run.put("d", Type::directory, {0777, 0, 0});
  for (const Type type : kTypes) run.put(fmt::format("d/t{}", static_cast<int>(type)), type);
  const Stream stream(opendir(run.at("d").c_str()));
  std::map<std::string, std::pair<ino_t, int>> found;
  while (const dirent* entry = readdir(stream.get())) found[entry->d_name] = {entry->d_ino, entry->d_type};
  run.same("names", found.size(), kTypes.size() + 2);
  for (const Type type : kTypes) {
    const std::string name = fmt::format("t{}", static_cast<int>(type));
    run.same(fmt::format("d_type of {}", name_of(type)), found[name].second, static_cast<int>(IFTODT(bits_of(type))));
    run.is(fmt::format("d_ino of {}", name_of(type)), found[name].first == run.look("d/" + name).st_ino);
  }
  run.is("d_ino of .", found["."].first == run.look("d").st_ino);
  run.is("d_ino of ..", found[".."].first == run.look(".").st_ino);
}

void many(Run& run) {
  run.put("d", Type::directory, {0777, 0, 0});
  std::multiset<std::string> made{".", ".."};
  for (int i = 0; i < 700; ++i) {
    const std::string name = fmt::format("a-name-of-some-length-{}", i);
    run.as_admin([&] { return mknod(run.admin("d/" + name).c_str(), S_IFREG | 0644, 0); });
    made.insert(name);
  }
  for (const std::string& path : {run.at("d"), run.seen("d")}) {
    const Stream stream(opendir(path.c_str()));
    run.is("all names, each once", rest_of(stream.get()) == made);
    run.is("nothing more at the end", rest_of(stream.get()).empty());
    rewinddir(stream.get());
    run.is("all names again after rewinddir", rest_of(stream.get()) == made);
  }
}

// telldir names a place from which seekdir goes on, in this stream.
void positions(Run& run) {
  run.put("d", Type::directory, {0777, 0, 0});
  for (int i = 0; i < 100; ++i) run.put(fmt::format("d/{}", i), Type::file);
  const Stream stream(opendir(run.at("d").c_str()));
  std::vector<std::pair<long, std::string>> places;
  while (true) {
    const long place = telldir(stream.get());
    const dirent* entry = readdir(stream.get());
    if (entry == nullptr) break;
    places.emplace_back(place, entry->d_name);
  }
  run.same("names", places.size(), std::size_t{102});
  for (std::size_t i = 0; i < places.size(); i += 7) {
    seekdir(stream.get(), places[i].first);
    const dirent* entry = readdir(stream.get());
    run.is("the name at a place", entry != nullptr && places[i].second == entry->d_name);
    run.same("names from there on", rest_of(stream.get()).size(), places.size() - i - 1);
  }
}

// What stays through the whole listing is listed once, whatever comes and goes meanwhile.
void changing_meanwhile(Run& run) {
  run.put("d", Type::directory, {0777, 0, 0});
  std::multiset<std::string> staying;
  for (int i = 0; i < 400; ++i) {
    run.put(fmt::format("d/stays-{}", i), Type::file);
    run.put(fmt::format("d/goes-{}", i), Type::file);
    staying.insert(fmt::format("stays-{}", i));
  }
  const Stream stream(opendir(run.at("d").c_str()));
  std::multiset<std::string> found;
  int step = 0;
  while (const dirent* entry = readdir(stream.get())) {
    if (std::string_view{entry->d_name}.starts_with("stays-")) found.insert(entry->d_name);
    const int i = step++;
    if (i % 2 == 0) unlink(run.at(fmt::format("d/goes-{}", i / 2)).c_str());
    if (i % 3 == 0) run.as_admin([&] { return mknod(run.seen(fmt::format("d/comes-{}", i)).c_str(), S_IFREG | 0644, 0); });
    if (step > 5000) break;
  }
  run.is("each name that stays is listed once", found == staying);
  run.works("a name made while listing", access(run.at("d/comes-0").c_str(), F_OK));
}

// A stream rewound, or opened anew, sees what the other mount did at once.
void seen_at_once(Run& run) {
  run.put("d", Type::directory, {0777, 0, 0});
  const Stream stream(opendir(run.at("d").c_str()));
  std::multiset<std::string> wanted{".", ".."};
  for (int i = 0; i < 30; ++i) {
    const std::string name = fmt::format("n{}", i);
    run.as_admin([&] { return mknod(run.seen("d/" + name).c_str(), S_IFREG | 0644, 0); });
    wanted.insert(name);
    rewinddir(stream.get());
    run.same("names after one was made through the other mount", joined(rest_of(stream.get())), joined(wanted));
    if (i % 2 == 0) continue;
    run.as_admin([&] { return unlink(run.seen("d/" + name).c_str()); });
    wanted.erase(name);
    rewinddir(stream.get());
    run.same("names after one was unlinked through the other mount", joined(rest_of(stream.get())), joined(wanted));
  }
}

void working(Run& run) {
  run.put("d", Type::directory, {0777, 0, 0});
  run.put("d/e", Type::directory, {0777, 0, 0});
  const UniqueFd here(open(".", O_PATH | O_CLOEXEC));
  std::array<char, 4096> path{};
  run.works("chdir", chdir(run.at("d/e").c_str()));
  run.is("getcwd", getcwd(path.data(), path.size()) != nullptr && run.at("d/e") == path.data());
  run.works("rename of the working directory", rename(run.at("d/e").c_str(), run.at("d/f").c_str()));
  run.is("getcwd after it", getcwd(path.data(), path.size()) != nullptr && run.at("d/f") == path.data());
  run.works("mkdir in it", mkdir("g", 0755));
  run.same("where", run.look("d/f/g").st_mode & S_IFMT, static_cast<mode_t>(S_IFDIR));
  run.works("rmdir", rmdir("g"));
  run.works("rmdir of the working directory", rmdir(run.at("d/f").c_str()));
  run.fails("getcwd of a removed directory", getcwd(path.data(), path.size()) == nullptr ? -1 : 0, ENOENT);
  run.fails("open O_CREAT in a removed directory", open("x", O_CREAT | O_WRONLY | O_CLOEXEC, 0644), ENOENT);
  run.fails("mkdir in a removed directory", mkdir("x", 0755), ENOENT);
  struct stat found{};
  run.works("stat of . of a removed directory", stat(".", &found));
  run.same("its links", found.st_nlink, 0U);
  const Stream stream(opendir("."));
  run.is("opendir of . of a removed directory", stream != nullptr);
  if (stream) run.same("its names", joined(rest_of(stream.get())), "");
  static_cast<void>(fchdir(here.get()));
}

// EFS: 1,000 levels.
void deep(Run& run) {
  const UniqueFd here(open(".", O_PATH | O_CLOEXEC));
  run.put("deep", Type::directory, {0777, 0, 0});
  run.works("chdir", chdir(run.at("deep").c_str()));
  int made = 0;
  while (made < 990 && mkdir("d", 0777) == 0 && chdir("d") == 0) ++made;
  run.same("990 levels", made, 990);
  std::array<char, 8192> path{};
  run.is("getcwd of a deep directory", getcwd(path.data(), path.size()) != nullptr);
  if (run.shared()) {
    int error = 0;
    for (; made < 1010 && error == 0; ++made) error = mkdir("d", 0777) == 0 && chdir("d") == 0 ? 0 : errno;
    run.error("mkdir below 1,000 levels", error, ENAMETOOLONG);
    run.is("the level where it is refused", made < 1001);
    run.works("a file is made there", mknod("f", S_IFREG | 0644, 0));
    run.works("a file at the top", access(run.at("deep").c_str(), F_OK));
    run.put("moved", Type::directory, {0777, 0, 0});
    run.fails("rename of a directory below 1,000 levels", rename(run.at("moved").c_str(), "d"), ENAMETOOLONG);
    run.works("unlink", unlink("f"));
  }
  while (chdir("..") == 0 && rmdir("d") == 0 && --made > 0) {
  }
  static_cast<void>(fchdir(here.get()));
}

}  // namespace

std::vector<Scenario> directory_scenarios() {
  return {{"Listed", listed},
          {"ManyNames", many},
          {"PositionsInDirectories", positions},
          {"ListedWhileChanging", changing_meanwhile},
          {"ListedAtOnce", seen_at_once},
          {"WorkingDirectories", working},
          {"DeepDirectories", deep}};
}

}  // namespace berth::posix

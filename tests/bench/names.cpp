#include "names.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "slices.hpp"

namespace berth::bench {
namespace {

constexpr std::size_t kFileBytes = 1000;

// `ls -l`: each name and its attributes. How many there were.
std::uint64_t list(const std::string& path) {
  DIR* directory = opendir(path.c_str());
  check(directory != nullptr, path.c_str());
  std::uint64_t entries = 0;
  while (const dirent* entry = readdir(directory)) {
    struct stat status;
    check(fstatat(dirfd(directory), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0, entry->d_name);
    ++entries;
  }
  closedir(directory);
  return entries;
}

bool exists(const std::string& path) {
  struct stat status;
  return stat(path.c_str(), &status) == 0;
}

class Names {
 public:
  Names(std::string directory, std::string backing, int count, unsigned jobs, std::string other)
      : unique_("names-" + std::to_string(getpid())),
        directory_(std::move(directory) + "/" + unique_),
        backing_(std::move(backing) + "/" + unique_),
        other_(other.empty() ? "" : std::move(other) + "/" + unique_),
        count_(count),
        jobs_(jobs) {}

  void run() {
    set_up();
    changes();
    looks();
    std::filesystem::remove_all(backing_);
  }

 private:
  using Place = std::string (Names::*)(const std::string& top, unsigned job) const;
  std::string made(const std::string& top, unsigned job) const { return top + "/made" + std::to_string(job); }
  std::string found(const std::string& top, unsigned job) const { return top + "/found" + std::to_string(job); }
  std::string listed(const std::string& top, unsigned job) const { return top + "/listed" + std::to_string(job); }

  void set_up() const {
    check(mkdir(directory_.c_str(), 0755) == 0, "mkdir");
    for (unsigned job = 0; job < jobs_.count(); ++job) {
      check(mkdir(made(directory_, job).c_str(), 0755) == 0, "mkdir");
      for (const std::string& path : {found(backing_, job), listed(backing_, job)}) {
        check(mkdir(path.c_str(), 0755) == 0, "mkdir");
        for (int i = 0; i < count_; ++i) make_file(nth(path, "f", i), kFileBytes);
      }
    }
  }

  // One operation on each of the job's names.
  void once(const char* name, const char* names, Place place, const std::function<bool(const std::string&, int)>& operation) {
    let_the_other_know(place, names);
    double best = 0;
    for (int slice = 0; slice < kSlices; ++slice) {
      const int begin = count_ * slice / kSlices;
      const int end = count_ * (slice + 1) / kSlices;
      best = std::max(best, jobs_.rate([&](unsigned job) {
        const std::string path = (this->*place)(directory_, job);
        for (int i = begin; i < end; ++i) check(operation(path, i), name);
        return static_cast<std::uint64_t>(end - begin);
      }));
    }
    print(name, best);
  }

  // The same, again and again for long enough to be measured.
  void again(const char* name, const char* names, Place place, const std::function<bool(const std::string&, int)>& operation) {
    let_the_other_know(place, names);
    repeat(name, place, [&](const std::string& path) {
      for (int i = 0; i < count_; ++i) check(operation(path, i), name);
      return static_cast<std::uint64_t>(count_);
    });
  }

  void repeat(const char* name, Place place, const std::function<std::uint64_t(const std::string&)>& round) {
    double best = 0;
    for (int slice = 0; slice < kSlices; ++slice) {
      best = std::max(best, jobs_.rate([&](unsigned job) {
        const std::string path = (this->*place)(directory_, job);
        const auto until = Clock::now() + kLongEnough;
        std::uint64_t done = 0;
        do done += round(path);
        while (Clock::now() < until);
        return done;
      }));
    }
    print(name, best);
  }

  void changes() {
    once("create", "f", &Names::made, [](const std::string& path, int i) {
      const int fd = open(nth(path, "f", i).c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
      return fd >= 0 && close(fd) == 0;
    });
    once("rename", "fr", &Names::made,
         [](const std::string& path, int i) { return rename(nth(path, "f", i).c_str(), nth(path, "r", i).c_str()) == 0; });
    once("unlink", "r", &Names::made, [](const std::string& path, int i) { return unlink(nth(path, "r", i).c_str()) == 0; });
    once("mkdir+rmdir", "d", &Names::made, [](const std::string& path, int i) {
      const std::string name = nth(path, "d", i);
      return mkdir(name.c_str(), 0755) == 0 && rmdir(name.c_str()) == 0;
    });
  }

  void looks() {
    const auto stat_of = [](const std::string& path, int i) { return exists(nth(path, "f", i)); };
    const auto miss = [](const std::string& path, int i) { return !exists(nth(path, "m", i)); };
    once("stat, first time", "f", &Names::found, stat_of);
    again("stat, again", "f", &Names::found, stat_of);
    again("open+read+close", "f", &Names::found, [](const std::string& path, int i) {
      std::array<char, 4096> buffer;
      const int fd = open(nth(path, "f", i).c_str(), O_RDONLY | O_CLOEXEC);
      return fd >= 0 && read(fd, buffer.data(), buffer.size()) == static_cast<ssize_t>(kFileBytes) && close(fd) == 0;
    });
    once("missing name, first time", "m", &Names::found, miss);
    again("missing name, again", "m", &Names::found, miss);
    let_the_other_know(&Names::listed, "f");
    print("ls -l, first time, entries", jobs_.rate([&](unsigned job) { return list(listed(directory_, job)); }));
    let_the_other_know(&Names::listed, "f");
    repeat("ls -l, again, entries", &Names::listed, list);
  }

  // The directory's list, and the names with these first letters, whether they are there or not.
  void let_the_other_know(Place place, std::string_view names) const {
    if (other_.empty()) return;
    for (unsigned job = 0; job < jobs_.count(); ++job) {
      const std::string path = (this->*place)(other_, job);
      list(path);
      for (const char name : names) {
        for (int i = 0; i < count_; ++i) exists(nth(path, std::string{name}, i));
      }
    }
  }

  const std::string unique_, directory_, backing_, other_;
  const int count_;
  Jobs jobs_;
};

}  // namespace

void measure_names(const std::string& directory, const std::string& backing, int count, unsigned jobs, const std::string& other) {
  Names(directory, backing, count, jobs, other).run();
}

}  // namespace berth::bench

// Two directories in a temporary one, things to put into them, and what a tree looks like as text, to compare two.
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "broker/base/unique_fd.hpp"
#include "fuse/replica/tree_sync.hpp"

namespace berth::fuse::replica {

namespace fs = std::filesystem;

class Trees : public ::testing::Test {
 protected:
  Trees() {
    std::string name = (fs::temp_directory_path() / "berth-test-XXXXXX").string();
    base = ::mkdtemp(name.data());
    for (const auto* tree : {"source", "destination", "outside"}) fs::create_directory(base + "/" + tree);
  }
  ~Trees() override { fs::remove_all(base); }

  std::string source(const std::string& path = "") const { return base + "/source/" + path; }
  std::string destination(const std::string& path = "") const { return base + "/destination/" + path; }

  Result<Report> sync(std::optional<TimePoint> since = std::nullopt) {
    progress = std::make_unique<Progress>();
    return sync_tree({base + "/source", base + "/destination", base + "/staging", since}, *progress);
  }
  // A pass that must be complete, and leave two trees that are the same.
  void must_sync(std::optional<TimePoint> since = std::nullopt) {
    const auto report = sync(since);
    ASSERT_TRUE(report) << report.error().message;
    ASSERT_TRUE(report->complete()) << (report->first_problems.empty() ? "stopped" : report->first_problems.front());
    EXPECT_EQ(look(source()), look(destination()));
    EXPECT_FALSE(fs::exists(base + "/staging"));
  }
  // By then all that is there has been for long.
  static TimePoint much_later() {
    return std::chrono::time_point_cast<TimePoint::duration>(std::chrono::system_clock::now()) + std::chrono::hours(1);
  }

  static void write(const std::string& path, const std::string& text) {
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path, std::ios::binary) << text;
  }
  static std::string read(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
  }
  static struct stat status(const std::string& path) {
    struct stat status{};
    EXPECT_EQ(::lstat(path.c_str(), &status), 0) << path;
    return status;
  }
  static void set_time(const std::string& path, time_t seconds, long nanoseconds = 0) {
    const std::array<timespec, 2> times{timespec{seconds, nanoseconds}, timespec{seconds, nanoseconds}};
    EXPECT_EQ(::utimensat(AT_FDCWD, path.c_str(), times.data(), AT_SYMLINK_NOFOLLOW), 0);
  }

  // Runs it in a child with mounts of its own; whether it said yes.
  static bool in_own_mounts(const std::function<bool()>& judge) {
    const pid_t child = ::fork();
    if (child == 0) {
      const bool apart = ::unshare(CLONE_NEWNS) == 0 && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
      ::_exit(apart && judge() ? 0 : 1);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }

  // By path: type, mode, owner, modification time, and content; names of one file share a number.
  static std::map<std::string, std::string> look(const std::string& root) {
    std::map<std::string, std::string> seen;
    std::map<ino_t, std::string> first_names;
    std::map<std::string, fs::path> sorted;
    for (const auto& entry : fs::recursive_directory_iterator(root)) sorted[fs::relative(entry.path(), root)] = entry.path();
    sorted["."] = root;
    for (const auto& [name, path] : sorted) {
      const auto s = status(path);
      std::string content;
      if (S_ISREG(s.st_mode)) content = fmt::format("{} bytes: {}", s.st_size, std::hash<std::string>{}(read(path)));
      if (S_ISLNK(s.st_mode)) content = fs::read_symlink(path);
      if (!S_ISDIR(s.st_mode)) content += " = " + first_names.emplace(s.st_ino, name).first->second;
      if (S_ISCHR(s.st_mode)) content += fmt::format(" device {}", s.st_rdev);
      seen[name] =
          fmt::format("{:o} {}:{} {}.{:09} {}", s.st_mode, s.st_uid, s.st_gid, s.st_mtim.tv_sec, s.st_mtim.tv_nsec, content);
    }
    return seen;
  }

  std::string base;
  std::unique_ptr<Progress> progress;
};

}  // namespace berth::fuse::replica

// unlink(2) and rmdir(2), and what lives on without a name.
#include <fcntl.h>
#include <unistd.h>

#include "broker/base/unique_fd.hpp"
#include "tests/posix/scenarios.hpp"

namespace berth::posix {
namespace {

constexpr auto kSame = static_cast<uid_t>(-1);

void of_every_type(Run& run) {
  for (const Type type : kTypes) {
    run.put("d", Type::directory, {0777, 0, 0});
    run.put("d/x", type);
    const auto directory = run.look("d");
    run.let_time_pass();
    const bool is_directory = type == Type::directory;
    const std::string path = run.at("d/x");
    run.fails(fmt::format("unlink of {}", name_of(type)), unlink(path.c_str()), is_directory ? EISDIR : 0);
    if (!is_directory) {
      run.same(fmt::format("{} is gone", name_of(type)), run.look("d/x").st_mode, 0U);
      run.times(fmt::format("unlink of {}: the directory", name_of(type)), directory, run.look("d"), "mc");
      run.fails(fmt::format("unlink again of {}", name_of(type)), unlink(path.c_str()), ENOENT);
      run.put("d/x", type);
    }
    const auto filled = run.look("d");
    run.let_time_pass();
    run.fails(fmt::format("rmdir of {}", name_of(type)), rmdir(path.c_str()), is_directory ? 0 : ENOTDIR);
    run.times(fmt::format("rmdir of {}: the directory", name_of(type)), filled, run.look("d"), is_directory ? "mc" : "");
    run.same(fmt::format("rmdir of {}: links of the directory", name_of(type)), run.look("d").st_nlink, 2U);
    run.put("d/x", Type::directory);
    run.put("d/x/inside", type);
    run.fails(fmt::format("rmdir of a directory with {}", name_of(type)), rmdir(path.c_str()), ENOTEMPTY);
    run.fails(fmt::format("unlinkat AT_REMOVEDIR of a directory with {}", name_of(type)),
              unlinkat(AT_FDCWD, path.c_str(), AT_REMOVEDIR), ENOTEMPTY);
  }
}

void unlinked_but_open(Run& run) {
  run.put_content("x", "text", {0666, kOwner.uid, kOwner.gid});
  const UniqueFd file(open(run.at("x").c_str(), O_RDWR | O_CLOEXEC));
  const UniqueFd other(open(run.seen("x").c_str(), O_RDWR | O_CLOEXEC));
  struct stat before{};
  run.works("fstat", fstat(file.get(), &before));
  run.let_time_pass();
  run.works("unlink of an open file", unlink(run.at("x").c_str()));
  for (const int fd : {file.get(), other.get()}) {
    struct stat left{};
    run.works("fstat of what has no name", fstat(fd, &left));
    run.same("its links", left.st_nlink, 0U);
    run.same("its size", left.st_size, 4);
    run.times("unlink", before, left, "c");
    std::string text(4, ' ');
    run.same("bytes read of it", pread(fd, text.data(), 4, 0), 4);
    run.same("text read of it", text, "text");
  }
  run.same("bytes written to it", pwrite(file.get(), "T", 1, 0), 1);
  std::string text(4, ' ');
  run.same("bytes read through the other descriptor", pread(other.get(), text.data(), 4, 0), 4);
  run.same("text read through the other descriptor", text, "Text");
  run.works("ftruncate of it", ftruncate(other.get(), 2));
  struct stat left{};
  run.works("fstat after ftruncate", fstat(file.get(), &left));
  run.same("its size after ftruncate", left.st_size, 2);
  run.error("fchmod of it", run.as(kOwner, [&] { return error_of(fchmod(file.get(), 0600)); }), 0);
  run.error("fchown of it", run.as(kOwner, [&] { return error_of(fchown(file.get(), kSame, kOwner.gid)); }), 0);
  run.works("futimens of it", futimens(file.get(), nullptr));
  run.works("fsync of it", fsync(file.get()));
  run.works("fallocate of it", fallocate(file.get(), 0, 0, 10000));
  run.works("fstat after all", fstat(other.get(), &left));
  run.same("size, mode and owner after all",
           fmt::format("{} {:o} {}:{}", left.st_size, left.st_mode & 07777U, left.st_uid, left.st_gid), "10000 600 1001:1001");
  run.fails(
      "link of what has no name any more",
      linkat(AT_FDCWD, fmt::format("/proc/self/fd/{}", file.get()).c_str(), AT_FDCWD, run.at("y").c_str(), AT_SYMLINK_FOLLOW),
      ENOENT);
  run.put_content("x", "fresh", {0666, 0, 0});
  run.same("a new file of the same name", run.content("x"), "fresh");
  const UniqueFd again(open(fmt::format("/proc/self/fd/{}", file.get()).c_str(), O_RDONLY | O_CLOEXEC));
  run.is("opening it again through /proc", static_cast<bool>(again));
}

void removed_but_in_use(Run& run) {
  run.put("d", Type::directory, {0777, 0, 0});
  const UniqueFd directory(open(run.at("d").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const UniqueFd other(open(run.seen("d").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  run.works("rmdir of an open directory", rmdir(run.at("d").c_str()));
  for (const int fd : {directory.get(), other.get()}) {
    struct stat left{};
    run.works("fstat of a removed directory", fstat(fd, &left));
    run.same("its links", left.st_nlink, 0U);
    run.fails("mkdirat in it", mkdirat(fd, "x", 0755), ENOENT);
    run.fails("openat O_CREAT in it", openat(fd, "x", O_CREAT | O_RDWR | O_CLOEXEC, 0644), ENOENT);
    run.fails("symlinkat in it", symlinkat("t", fd, "x"), ENOENT);
    run.fails("mknodat in it", mknodat(fd, "x", S_IFIFO | 0644, 0), ENOENT);
    run.fails("fstatat in it", fstatat(fd, "x", &left, 0), ENOENT);
    run.fails("unlinkat in it", unlinkat(fd, "x", 0), ENOENT);
    run.fails("openat of . in it", openat(fd, ".", O_RDONLY | O_CLOEXEC) < 0 ? -1 : 0, 0);
  }
  run.works("fchmod of a removed directory", fchmod(directory.get(), 0700));
}

void by_everyone(Run& run) {
  for (const User& asked : kUsers) {
    const User user = run.effective(asked);
    for (const Type type : {Type::file, Type::directory}) {
      for (const mode_t mode : {0777U, 0755U, 0775U, 0700U, 0711U}) {
        run.put("d", Type::directory, {mode, kOwner.uid, kOwner.gid});
        run.put("d/x", type, {0, 0, 0});  // whose and what it is, does not matter
        const bool allowed = may(user, {kOwner.uid, kOwner.gid, mode, true}, W_OK | X_OK);
        run.error(fmt::format("removing {} from a directory of mode {:03o} by {}", name_of(type), mode, asked.name),
                  run.as(asked,
                         [&] {
                           return error_of(unlinkat(AT_FDCWD, run.at("d/x").c_str(), type == Type::directory ? AT_REMOVEDIR : 0));
                         }),
                  allowed ? 0 : EACCES);
      }
    }
  }
}

}  // namespace

std::vector<Scenario> removal_scenarios() {
  return {{"RemovalOfEveryType", of_every_type},
          {"UnlinkedButOpen", unlinked_but_open},
          {"RemovedButInUse", removed_but_in_use},
          {"RemovalByEveryone", by_everyone}};
}

}  // namespace berth::posix

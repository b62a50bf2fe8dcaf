#include "tests/posix/calls.hpp"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdio>

#include "broker/base/unique_fd.hpp"

namespace berth::posix {
namespace {

int opened(const char* path, int flags, mode_t mode = 0644) {
  const UniqueFd file(open(path, flags | O_CLOEXEC | O_NONBLOCK, mode));
  return file ? 0 : errno;
}

int working_directory(const char* path) {
  const UniqueFd here(open(".", O_PATH | O_CLOEXEC));
  const int error = error_of(chdir(path));
  return fchdir(here.get()) == 0 ? error : errno;
}

int stat_x(const char* path) {
  struct statx found{};
  return error_of(statx(AT_FDCWD, path, 0, STATX_ALL, &found));
}

int target_of(const char* path) {
  std::array<char, 16> target{};
  return error_of(readlink(path, target.data(), target.size()));
}

int file_system_of(const char* path) {
  struct statvfs found{};
  return error_of(statvfs(path, &found));
}

int set_times(const char* path, int flags) {
  const std::array<timespec, 2> times{timespec{1, 1}, timespec{2, 2}};
  return error_of(utimensat(AT_FDCWD, path, times.data(), flags));
}

std::vector<PathCall> looking_calls() {
  return {
      {.name = "stat",
       .wants = Wants::file,
       .call =
           [](auto path, auto) {
             struct stat s{};
             return error_of(stat(path, &s));
           }},
      {.name = "lstat",
       .wants = Wants::file,
       .follows = false,
       .call =
           [](auto path, auto) {
             struct stat s{};
             return error_of(lstat(path, &s));
           }},
      {.name = "statx", .wants = Wants::file, .call = [](auto path, auto) { return stat_x(path); }},
      {.name = "access", .wants = Wants::file, .call = [](auto path, auto) { return error_of(access(path, F_OK)); }},
      {.name = "statvfs", .wants = Wants::file, .call = [](auto path, auto) { return file_system_of(path); }},
      {.name = "readlink", .wants = Wants::link, .follows = false, .call = [](auto path, auto) { return target_of(path); }},
      {.name = "chdir", .wants = Wants::directory, .call = [](auto path, auto) { return working_directory(path); }},
      {.name = "open O_RDONLY", .wants = Wants::file, .call = [](auto path, auto) { return opened(path, O_RDONLY); }},
      {.name = "open O_WRONLY", .wants = Wants::file, .call = [](auto path, auto) { return opened(path, O_WRONLY); }},
      {.name = "open O_RDWR", .wants = Wants::file, .call = [](auto path, auto) { return opened(path, O_RDWR); }},
      {.name = "open O_PATH", .wants = Wants::file, .call = [](auto path, auto) { return opened(path, O_PATH); }},
      {.name = "open O_DIRECTORY",
       .wants = Wants::directory,
       .call = [](auto path, auto) { return opened(path, O_RDONLY | O_DIRECTORY); }},
      {.name = "open O_TMPFILE",
       .wants = Wants::directory,
       .call = [](auto path, auto) { return opened(path, O_RDWR | O_TMPFILE); }},
  };
}

std::vector<PathCall> attribute_calls() {
  return {
      {.name = "chmod",
       .wants = Wants::file,
       .owner_only = true,
       .call = [](auto path, auto) { return error_of(chmod(path, 0666)); }},
      {.name = "chown",
       .wants = Wants::file,
       .owner_only = true,
       .call = [](auto path, auto) { return error_of(chown(path, kOwner.uid, kOwner.gid)); }},
      {.name = "lchown",
       .wants = Wants::file,
       .follows = false,
       .owner_only = true,
       .call = [](auto path, auto) { return error_of(lchown(path, kOwner.uid, kOwner.gid)); }},
      {.name = "truncate", .wants = Wants::file, .call = [](auto path, auto) { return error_of(truncate(path, 3)); }},
      {.name = "utimensat to now",
       .wants = Wants::file,
       .call = [](auto path, auto) { return error_of(utimensat(AT_FDCWD, path, nullptr, 0)); }},
      {.name = "utimensat", .wants = Wants::file, .owner_only = true, .call = [](auto path, auto) { return set_times(path, 0); }},
      {.name = "utimensat of no link",
       .wants = Wants::file,
       .follows = false,
       .owner_only = true,
       .call = [](auto path, auto) { return set_times(path, AT_SYMLINK_NOFOLLOW); }},
      {.name = "open O_TRUNC", .wants = Wants::file, .call = [](auto path, auto) { return opened(path, O_WRONLY | O_TRUNC); }},
      {.name = "link of",
       .wants = Wants::file,
       .follows = false,
       .call = [](auto path, auto aside) { return error_of(link(path, aside)); }},
  };
}

std::vector<PathCall> making_calls() {
  constexpr bool kNo = false;
  constexpr bool kYes = true;
  return {
      {"mkdir", Wants::nothing, kNo, kYes, kNo, kYes, [](auto path, auto) { return error_of(mkdir(path, 0755)); }},
      {"mkfifo", Wants::nothing, kNo, kYes, kNo, kYes, [](auto path, auto) { return error_of(mkfifo(path, 0644)); }},
      {"mknod of a file", Wants::nothing, kNo, kYes, kNo, kYes,
       [](auto path, auto) { return error_of(mknod(path, S_IFREG | 0644, 0)); }},
      {"mknod of a socket", Wants::nothing, kNo, kYes, kNo, kYes,
       [](auto path, auto) { return error_of(mknod(path, S_IFSOCK | 0644, 0)); }},
      {"symlink", Wants::nothing, kNo, kYes, kNo, kYes, [](auto path, auto) { return error_of(symlink("target", path)); }},
      {"link to", Wants::nothing, kNo, kYes, kNo, kYes, [](auto path, auto aside) { return error_of(link(aside, path)); }},
      {"rename to", Wants::nothing, kNo, kYes, kNo, kYes, [](auto path, auto aside) { return error_of(rename(aside, path)); }},
      {"renameat2 RENAME_NOREPLACE to", Wants::nothing, kNo, kYes, kNo, kYes,
       [](auto path, auto aside) { return error_of(renameat2(AT_FDCWD, aside, AT_FDCWD, path, RENAME_NOREPLACE)); }},
      {"open O_CREAT", Wants::nothing, kYes, kYes, kNo, kYes, [](auto path, auto) { return opened(path, O_RDWR | O_CREAT); }},
      {"open O_CREAT|O_EXCL", Wants::nothing, kNo, kYes, kNo, kYes,
       [](auto path, auto) { return opened(path, O_RDWR | O_CREAT | O_EXCL); }},
      {"rename of", Wants::file, kNo, kYes, kNo, kYes, [](auto path, auto aside) { return error_of(rename(path, aside)); }},
      {"renameat2 RENAME_EXCHANGE", Wants::file, kNo, kYes, kNo, kYes,
       [](auto path, auto aside) { return error_of(renameat2(AT_FDCWD, path, AT_FDCWD, aside, RENAME_EXCHANGE)); }},
      {"unlink", Wants::file, kNo, kYes, kNo, kYes, [](auto path, auto) { return error_of(unlink(path)); }},
      {"rmdir", Wants::directory, kNo, kYes, kNo, kYes, [](auto path, auto) { return error_of(rmdir(path)); }},
  };
}

std::vector<PathCall> make_calls() {
  std::vector<PathCall> all = looking_calls();
  for (const auto& more : {attribute_calls(), making_calls()}) all.insert(all.end(), more.begin(), more.end());
  return all;
}

}  // namespace

const std::vector<PathCall>& path_calls() {
  static const std::vector<PathCall> calls = make_calls();
  return calls;
}

void set_scene(Run& run, const PathCall& call, const std::string& name, Owned owned) {
  const std::string_view text{call.name};
  switch (call.wants) {
    case Wants::file: run.put(name, Type::file, owned); break;
    case Wants::directory: run.put(name, Type::directory, {owned.mode | 0111U, owned.uid, owned.gid}); break;
    case Wants::link: run.put(name, Type::link, owned); break;
    case Wants::nothing: run.clear(name); break;
  }
  const bool needs_aside =
      text == "link to" || text == "rename to" || text == "renameat2 RENAME_NOREPLACE to" || text == "renameat2 RENAME_EXCHANGE";
  if (needs_aside) {
    run.put("aside/other", Type::file, owned);
  } else {
    run.clear("aside/other");
  }
}

}  // namespace berth::posix

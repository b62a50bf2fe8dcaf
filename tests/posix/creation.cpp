// What a new name is: its owner and group, its times and its directory's, set-group-id directories.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/base/unique_fd.hpp"
#include "tests/posix/scenarios.hpp"

namespace berth::posix {
namespace {

struct Maker {
  const char* name;
  Type type;
  int (*make)(const char* path);
};

int make_by_open(const char* path) {
  const UniqueFd file(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0755));
  return file ? 0 : -1;
}

int make_by_bind(const char* path) {
  const UniqueFd directory(open(std::string(path).substr(0, std::string_view{path}.rfind('/')).c_str(), O_PATH | O_CLOEXEC));
  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  struct sockaddr_un address{};
  address.sun_family = AF_UNIX;
  *fmt::format_to_n(static_cast<char*>(address.sun_path), sizeof(address.sun_path) - 1, "/proc/self/fd/{}{}", directory.get(),
                    path + std::string_view{path}.rfind('/'))
       .out = '\0';
  return bind(socket.get(), reinterpret_cast<struct sockaddr*>(&address), sizeof(address));
}

constexpr std::array<Maker, 8> kMakers{{
    {"open", Type::file, make_by_open},
    {"mknod of a file", Type::file, [](auto path) { return mknod(path, S_IFREG | 0755, 0); }},
    {"mkdir", Type::directory, [](auto path) { return mkdir(path, 0755); }},
    {"mkfifo", Type::fifo, [](auto path) { return mkfifo(path, 0755); }},
    {"mknod of a socket", Type::socket, [](auto path) { return mknod(path, S_IFSOCK | 0755, 0); }},
    {"bind", Type::socket, make_by_bind},
    {"mknod of a device", Type::character, [](auto path) { return mknod(path, S_IFCHR | 0755, makedev(1, 3)); }},
    {"symlink", Type::link, [](auto path) { return symlink("target", path); }},
}};

bool may_make(const User& user, Type type) { return type != Type::character || user.uid == 0; }

void owner_and_times(Run& run) {
  for (const Maker& maker : kMakers) {
    for (const User& asked : kUsers) {
      const User user = run.effective(asked);
      for (const mode_t directory_mode : {0777U, 02777U, 03777U}) {
        run.put("d", Type::directory, {directory_mode, kOwner.uid, 7000});
        const auto before = run.look("d");
        run.let_time_pass();
        const std::string what = fmt::format("{} by {} in a directory of mode {:04o}", maker.name, asked.name, directory_mode);
        const int got = run.as(asked, [&] { return error_of(maker.make(run.at("d/x").c_str())); });
        run.error(what, got, may_make(user, maker.type) ? 0 : EPERM);
        const auto after = run.look("d");
        run.times(what + ": the directory", before, after, got == 0 ? "mc" : "");
        if (got != 0) continue;
        const auto made = run.look("d/x");
        const bool inherits = (directory_mode & S_ISGID) != 0;
        run.same(what + ": type", made.st_mode & S_IFMT, bits_of(maker.type));
        run.same(what + ": uid", made.st_uid, user.uid);
        run.same(what + ": gid", made.st_gid, inherits ? 7000U : user.gid);
        run.same(what + ": nlink", made.st_nlink, maker.type == Type::directory ? 2U : 1U);
        run.same(what + ": links of the directory", after.st_nlink, before.st_nlink + (maker.type == Type::directory ? 1U : 0U));
        if (maker.type == Type::directory) run.mode(what + ": mode", made.st_mode, inherits ? 02755U : 0755U);
        run.is(what + ": its times are of now",
               made.st_mtim.tv_sec >= before.st_ctim.tv_sec && made.st_atim.tv_sec >= before.st_ctim.tv_sec);
      }
    }
  }
}

// A new file with sgid in a set-group-id directory of a group that the caller is not of loses it (if its group may execute).
void sgid_files_in_sgid_directories(Run& run) {
  for (const User& asked : {kRoot, kOwner, kStranger}) {
    const User user = run.effective(asked);
    for (const gid_t group : {kOwner.gid, 5000U, 7000U}) {
      for (const mode_t mode : {02755U, 02745U, 06777U}) {
        run.put("d", Type::directory, {02777, 0, group});
        const int got = run.as(asked, [&] {
          const UniqueFd file(open(run.at("d/x").c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, mode));
          return file ? 0 : errno;
        });
        const std::string what = fmt::format("open {:04o} by {} in a directory of group {}", mode, asked.name, group);
        run.error(what, got, 0);
        const bool keeps = user.uid == 0 || in_group(user, group) || (mode & S_IXGRP) == 0;
        run.mode(what + ": mode", run.look("d/x").st_mode, keeps ? mode : mode & ~static_cast<mode_t>(S_ISGID));
      }
    }
  }
}

// Refused for what is there: nothing changes.
void where_something_is(Run& run) {
  run.put("d", Type::directory, {0777, 0, 0});
  for (const Type there : kTypes) {
    run.put("d/x", there, {0777, kOwner.uid, kOwner.gid});
    for (const Maker& maker : kMakers) {
      if (std::string_view{maker.name} == "open") continue;
      const auto directory = run.look("d");
      const auto before = run.look("d/x");
      run.let_time_pass();
      const std::string what = fmt::format("{} where {} is", maker.name, name_of(there));
      run.fails(what, maker.make(run.at("d/x").c_str()), maker.make == make_by_bind ? EADDRINUSE : EEXIST);
      run.times(what, before, run.look("d/x"), "");
      run.times(what + ": the directory", directory, run.look("d"), "");
    }
  }
}

void devices_keep_their_numbers(Run& run) {
  for (const mode_t type : {static_cast<mode_t>(S_IFCHR), static_cast<mode_t>(S_IFBLK)}) {
    for (const dev_t device : {makedev(1, 3), makedev(8, 17), makedev(255, 255), makedev(300, 0x12345)}) {
      run.clear("n");
      run.works(fmt::format("mknod {:o} {:x}", type, device), mknod(run.at("n").c_str(), type | 0600, device));
      const auto made = run.look("n");
      run.same(fmt::format("mknod {:o} {:x}: number", type, device), made.st_rdev, device);
      run.fails(fmt::format("opening device {:x} of a nodev mount or none", device),
                open(run.at("n").c_str(), O_PATH | O_CLOEXEC) < 0 ? -1 : 0, 0);
    }
  }
}

void symlinks(Run& run) {
  for (const std::size_t size :
       {std::size_t{1}, std::size_t{59}, std::size_t{60}, std::size_t{255}, std::size_t{1000}, std::size_t{4000}}) {
    const std::string target(size, 't');
    run.clear("l");
    run.works(fmt::format("symlink to {} bytes", size), symlink(target.c_str(), run.at("l").c_str()));
    std::string found(5000, '\0');
    const ssize_t read = readlink(run.seen("l").c_str(), found.data(), found.size());
    run.is(fmt::format("readlink of {} bytes", size), read == static_cast<ssize_t>(size) && found.starts_with(target));
    run.same(fmt::format("size of a symlink to {} bytes", size), run.look("l").st_size, static_cast<off_t>(size));
    run.mode("mode of a symlink", run.look("l").st_mode, 0777);
    const ssize_t part = readlink(run.at("l").c_str(), found.data(), size > 1 ? size / 2 : 1);
    run.same(fmt::format("readlink of part of {} bytes", size), part, static_cast<ssize_t>(size > 1 ? size / 2 : 1));
  }
  run.fails("symlink to an empty path", symlink("", run.at("m").c_str()), ENOENT);
  run.put("f", Type::file);
  std::array<char, 8> target{};
  run.fails("readlink of a file", readlink(run.at("f").c_str(), target.data(), target.size()), EINVAL);
}

}  // namespace

std::vector<Scenario> creation_scenarios() {
  return {{"OwnersOfNewFiles", owner_and_times},
          {"SgidFilesInSgidDirectories", sgid_files_in_sgid_directories},
          {"CreationWhereSomethingIs", where_something_is},
          {"DeviceNumbers", devices_keep_their_numbers},
          {"Symlinks", symlinks}};
}

}  // namespace berth::posix

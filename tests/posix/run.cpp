#include "tests/posix/run.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <ctime>
#include <filesystem>

#include "broker/base/unique_fd.hpp"

namespace berth::posix {
namespace {

std::string error_name(int error) {
  const char* name = strerrorname_np(error);
  return name == nullptr ? fmt::format("errno {}", error) : name;
}

bool differ(const timespec& a, const timespec& b) { return a.tv_sec != b.tv_sec || a.tv_nsec != b.tv_nsec; }

std::string times_text(const struct stat& a) {
  return fmt::format("{}.{:09} {}.{:09}", a.st_mtim.tv_sec, a.st_mtim.tv_nsec, a.st_ctim.tv_sec, a.st_ctim.tv_nsec);
}

// Whether times differ from one change to the next: also a directory's, which tmpfs stamps more coarsely.
bool stamps_every_change(const std::string& directory) {
  const std::string path = directory + "/clock";
  bool each = true;
  for (int i = 0; i < 50; ++i) {
    struct stat before{};
    struct stat after{};
    mknod(path.c_str(), S_IFREG | 0600, 0);
    stat(directory.c_str(), &before);
    unlink(path.c_str());
    stat(directory.c_str(), &after);
    each = each && differ(before.st_mtim, after.st_mtim) && differ(before.st_ctim, after.st_ctim);
  }
  return each;
}

// What two mounts must agree on.
std::string agreed(const struct stat& a) {
  return fmt::format("{:o} {} {}:{} {} {} {}", a.st_mode, a.st_nlink, a.st_uid, a.st_gid, a.st_size, a.st_ino, times_text(a));
}

}  // namespace

const char* name_of(Type type) {
  constexpr std::array<const char*, 7> kNames{"a file",         "a directory", "a fifo", "a socket", "a character device",
                                              "a block device", "a symlink"};
  return kNames.at(static_cast<std::size_t>(type));
}

mode_t bits_of(Type type) {
  constexpr std::array<mode_t, 7> kBits{S_IFREG, S_IFDIR, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK, S_IFLNK};
  return kBits.at(static_cast<std::size_t>(type));
}

Run::Run(const Place& place, const std::string& scenario) : place_(place), directory_(scenario), current_(acting_as(kRoot)) {
  umask(0);
  become(kRoot);
  mkdir(admin("").c_str(), 0777);
  become(current_);
}

Run::~Run() {
  become(kRoot);
  std::error_code ignored;
  std::filesystem::remove_all(admin(""), ignored);
}

void Run::clear(std::string_view name) {
  as_admin([&] {
    const std::string path = admin(name);
    if (unlink(path.c_str()) == 0 || errno == ENOENT || rmdir(path.c_str()) == 0) return;
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  });
}

void Run::put(std::string_view name, Type type, Owned owned, const std::string& target) {
  clear(name);
  as_admin([&] {
    const std::string path = admin(name);
    if (type == Type::directory) {
      mkdir(path.c_str(), 0700);
    } else if (type == Type::link) {
      symlink(target.c_str(), path.c_str());
    } else {
      mknod(path.c_str(), bits_of(type) | 0600, makedev(1, 3));
    }
    lchown(path.c_str(), owned.uid, owned.gid);
    if (type != Type::link) chmod(path.c_str(), owned.mode);
  });
}

void Run::put_content(std::string_view name, std::string_view content, Owned owned) {
  put(name, Type::file, {0600, 0, 0});
  as_admin([&] {
    {
      const UniqueFd file(open(admin(name).c_str(), O_WRONLY | O_CLOEXEC));
      if (write(file.get(), content.data(), content.size()) < 0) return;
    }
    chown(admin(name).c_str(), owned.uid, owned.gid);
    chmod(admin(name).c_str(), owned.mode);
  });
}

struct stat Run::look(std::string_view name) {
  struct stat found{};
  struct stat other{};
  if (as_admin([&] { return lstat(seen(name).c_str(), &found); }) != 0) found = {};
  if (two_mounts() && lstat(at(name).c_str(), &other) == 0) {
    same(fmt::format("{} as both mounts see it", name), agreed(other), agreed(found));
  }
  return found;
}

std::string Run::content(std::string_view name) {
  return as_admin([&] {
    const UniqueFd file(open(seen(name).c_str(), O_RDONLY | O_CLOEXEC));
    std::string text(1U << 20U, '\0');
    const ssize_t size = read(file.get(), text.data(), text.size());
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
    return text;
  });
}

void Run::same(std::string what, std::string got, std::string wanted) {
  const int use = ++uses_[what];
  if (use > 1) what += fmt::format(" #{}", use);
  checks_.push_back({std::move(what), std::move(got), std::move(wanted)});
}

void Run::error(std::string what, int got, int wanted) { same(std::move(what), error_name(got), error_name(wanted)); }

void Run::mode(std::string what, mode_t got, mode_t wanted) {
  same(std::move(what), fmt::format("{:o}", got & 07777U), fmt::format("{:o}", wanted));
}

// Kernels before 6.13 stamp with a clock that ticks every few milliseconds: waited for by looking at it.
void Run::let_time_pass() const {
  static const bool fine = stamps_every_change(place_.admin);
  if (fine) return;
  timespec start{};
  timespec now{};
  clock_gettime(CLOCK_REALTIME_COARSE, &start);
  do {
    sched_yield();
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
  } while (!differ(start, now));
}

void Run::times(const std::string& what, const struct stat& before, const struct stat& after, std::string_view changed) {
  const auto check = [&](char letter, const char* name, const timespec& a, const timespec& b) {
    const bool should = changed.find(letter) != std::string_view::npos;
    same(fmt::format("{}: {}", what, name), differ(a, b) ? "changed" : "kept", should ? "changed" : "kept");
  };
  if (changed.find('a') != std::string_view::npos) check('a', "access time", before.st_atim, after.st_atim);
  check('m', "modification time", before.st_mtim, after.st_mtim);
  check('c', "change time", before.st_ctim, after.st_ctim);
}

}  // namespace berth::posix

#include "tests/parity/perform.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include <fmt/format.h>

#include "tests/parity/attributes.hpp"

namespace berth::parity {
namespace {

Outcome plain(long result) { return {result, result < 0 ? errno : 0, {}}; }

std::string bytes_of(const Step& step) {
  std::string bytes(static_cast<std::size_t>(std::clamp<off_t>(step.length, 0, 100'000)), '\0');
  std::uint32_t state = step.pattern | 1U;
  for (char& byte : bytes) {
    state = state * 1664525U + 1013904223U;
    byte = static_cast<char>(state >> 24U);
  }
  return bytes;
}

Outcome reading(long result, std::string bytes) {
  Outcome outcome = plain(result);
  if (result > 0) outcome.data = fmt::format("{:x}", std::hash<std::string>{}(bytes.substr(0, static_cast<std::size_t>(result))));
  return outcome;
}

// Keeps the file in the step's slot, unless it is a FIFO: those connect programs on one machine only.
Outcome keep_open(const Step& step, Side& side, int fd) {
  if (fd < 0) return plain(fd);
  side.files[step.slot].reset(fd);
  struct stat attributes{};
  if (fstat(fd, &attributes) == 0 && S_ISFIFO(attributes.st_mode)) side.files[step.slot].reset();
  return {0, 0, {}};
}

Outcome open_file(const Step& step, Side& side, const std::string& path) {
  side.files[step.slot].reset();
  return keep_open(step, side, open(path.c_str(), step.flags | O_NONBLOCK | O_CLOEXEC, step.mode & 07777));
}

Outcome open_nameless(const Step& step, Side& side, const std::string& path) {
  side.files[step.slot].reset();
  return keep_open(step, side, open(path.c_str(), step.flags | O_TMPFILE | O_CLOEXEC, step.mode & 07777));
}

Outcome stat_path(const Side& side, const std::string& path, int flags) {
  struct stat attributes{};
  Outcome outcome = plain(fstatat(AT_FDCWD, path.c_str(), &attributes, flags));
  if (outcome.error == 0) outcome.data = text_of(attributes, side.access_times);
  return outcome;
}

Outcome stat_file(const Side& side, int fd) {
  struct stat attributes{};
  Outcome outcome = plain(fstat(fd, &attributes));
  if (outcome.error == 0) outcome.data = text_of(attributes, side.access_times);
  return outcome;
}

Outcome read_target(const std::string& path) {
  std::string target(4096, '\0');
  const long size = readlink(path.c_str(), target.data(), target.size());
  return reading(size, target);
}

// Reads or changes the part of the mapping that lies in the file.
Outcome map(const Step& step, int fd, bool change) {
  struct stat attributes{};
  if (fstat(fd, &attributes) != 0) return plain(-1);
  if (!S_ISREG(attributes.st_mode) || attributes.st_size == 0) return {};
  const auto size = static_cast<std::size_t>(std::min<off_t>(attributes.st_size, 200'000));
  void* memory = mmap(nullptr, size, change ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return plain(-1);
  auto* bytes = static_cast<char*>(memory);
  Outcome outcome;
  if (change) {
    const std::string fresh = bytes_of(step);
    const auto from = std::min(static_cast<std::size_t>(std::max<off_t>(step.offset, 0)), size);
    fresh.copy(bytes + from, std::min(fresh.size(), size - from));
    outcome = plain(step.pattern % 2 == 0 ? msync(memory, size, MS_SYNC) : 0);
  } else {
    outcome.data = fmt::format("{:x}", std::hash<std::string>{}(std::string(bytes, size)));
  }
  munmap(memory, size);
  return outcome;
}

Outcome names_of(DIR* stream) {
  Outcome outcome;
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = readdir(stream)) {
    if (!is_removed_on_nfs(entry->d_name)) names.push_back(fmt::format("{}:{}", entry->d_name, entry->d_type));
  }
  outcome.error = errno;
  std::ranges::sort(names);
  outcome.data = fmt::format("{}", fmt::join(names, " "));
  return outcome;
}

// The whole directory; from the middle: what was before and what comes again after seekdir must make the whole.
Outcome list(const Step& step, const std::string& path, bool from_middle) {
  DIR* stream = opendir(path.c_str());
  if (stream == nullptr) return plain(-1);
  Outcome outcome;
  if (from_middle) {
    std::vector<long> positions{telldir(stream)};
    std::vector<std::string> names;
    while (const dirent* entry = readdir(stream)) {
      names.emplace_back(entry->d_name);
      positions.push_back(telldir(stream));
    }
    const std::size_t middle = step.pattern % positions.size();
    seekdir(stream, positions[middle]);
    std::size_t at = middle;
    while (const dirent* entry = readdir(stream)) {
      if (at >= names.size() || names[at++] != entry->d_name) outcome.data = "other names after seekdir; ";
    }
    if (at != names.size()) outcome.data += "too few names after seekdir";
    rewinddir(stream);
  }
  if (outcome.data.empty()) outcome = names_of(stream);
  closedir(stream);
  return outcome;
}

std::array<timespec, 2> times_of(const Step& step) {
  std::array<timespec, 2> times{};
  for (unsigned i = 0; i < 2; ++i) {
    const std::uint32_t bits = step.pattern >> (8 * i);
    times[i] = {static_cast<time_t>(step.pattern % 900'000'000), static_cast<long>(bits % 1'000'000'000)};
    if (bits % 5 == 0) times[i].tv_nsec = UTIME_NOW;
    if (bits % 5 == 1) times[i].tv_nsec = UTIME_OMIT;
  }
  return times;
}

Outcome lock(const Step& step, int fd, int command) {
  struct flock wanted{};
  wanted.l_type = static_cast<short>(step.flags);
  wanted.l_start = std::max<off_t>(step.offset, 0);
  wanted.l_len = step.pattern % 4 == 0 ? 0 : std::max<off_t>(step.length, 0);
  Outcome outcome = plain(fcntl(fd, command, &wanted));
  // l_pid is documented to be named only where it is known.
  const bool asks = command == F_GETLK || command == F_OFD_GETLK;
  if (asks && outcome.error == 0) {
    outcome.data = fmt::format("{} {}", wanted.l_type, wanted.l_whence);
    if (wanted.l_type != F_UNLCK) outcome.data += fmt::format(" {} {}", wanted.l_start, wanted.l_len);
  }
  return outcome;
}

// As cp does, it looks at the file first: the kernel copies no more than the size that it has last heard of.
Outcome copy_between(const Step& step, int from, int to) {
  struct stat attributes{};
  fstat(from, &attributes);
  loff_t in = step.offset;
  loff_t out = step.pattern % 100'000;
  const bool positions = step.pattern % 2 == 0;
  return plain(copy_file_range(from, positions ? &in : nullptr, to, positions ? &out : nullptr,
                               static_cast<std::size_t>(std::max<off_t>(step.length, 0)), 0));
}

// Positions in a directory mean something to its own file system only.
Outcome seek(const Step& step, int fd) {
  struct stat attributes{};
  if (fstat(fd, &attributes) == 0 && S_ISDIR(attributes.st_mode)) return {};
  return plain(lseek(fd, step.offset, step.flags));
}

Outcome link_open(int fd, const std::string& path) {
  const std::string from = fmt::format("/proc/self/fd/{}", fd);
  return plain(linkat(AT_FDCWD, from.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW));
}

Outcome on_file(const Step& s, Side& side, const std::string& path) {
  const int fd = side.files[s.slot].get();
  if (fd < 0) return {};
  std::string buffer(static_cast<std::size_t>(std::clamp<off_t>(s.length, 0, 100'000)), '\0');
  switch (s.op) {
    case Op::close: return side.files[s.slot].reset(), Outcome{};
    case Op::read: {
      const long size = read(fd, buffer.data(), buffer.size());
      return reading(size, buffer);
    }
    case Op::pread: {
      const long size = pread(fd, buffer.data(), buffer.size(), s.offset);
      return reading(size, buffer);
    }
    case Op::write: buffer = bytes_of(s); return plain(write(fd, buffer.data(), buffer.size()));
    case Op::pwrite: buffer = bytes_of(s); return plain(pwrite(fd, buffer.data(), buffer.size(), s.offset));
    case Op::seek: return seek(s, fd);
    case Op::ftruncate: return plain(ftruncate(fd, s.offset));
    case Op::allocate: return plain(fallocate(fd, s.flags, s.offset, s.length));
    case Op::copy_range: {
      const int to = side.files[s.other_slot].get();
      return to < 0 ? Outcome{} : copy_between(s, fd, to);
    }
    case Op::sync: return plain(s.flags == 0 ? fsync(fd) : fdatasync(fd));
    case Op::map_read: return map(s, fd, false);
    case Op::map_write: return map(s, fd, true);
    case Op::fstat: return stat_file(side, fd);
    case Op::link_open: return link_open(fd, path);
    case Op::fchmod: return plain(fchmod(fd, s.mode));
    case Op::fchown: return plain(fchown(fd, s.uid, s.gid));
    case Op::futimens: return plain(futimens(fd, times_of(s).data()));
    case Op::flock: return plain(flock(fd, s.flags));
    case Op::posix_lock: return lock(s, fd, F_SETLK);
    case Op::description_lock: return lock(s, fd, F_OFD_SETLK);
    case Op::get_lock: return lock(s, fd, s.pattern % 8 < 4 ? F_GETLK : F_OFD_GETLK);
    default: return {};
  }
}

Outcome on_path(const Step& s, Side& side, const std::string& path, const std::string& other) {
  switch (s.op) {
    case Op::open: return open_file(s, side, path);
    case Op::tmpfile: return open_nameless(s, side, path);
    case Op::truncate: return plain(truncate(path.c_str(), s.offset));
    case Op::list: return list(s, path, false);
    case Op::list_from: return list(s, path, true);
    case Op::stat: return stat_path(side, path, s.flags);
    case Op::access: return plain(faccessat(AT_FDCWD, path.c_str(), s.flags, AT_EACCESS));
    case Op::readlink: return read_target(path);
    case Op::mkdir: return plain(mkdir(path.c_str(), s.mode));
    case Op::rmdir: return plain(rmdir(path.c_str()));
    case Op::unlink: return plain(unlink(path.c_str()));
    case Op::rename: return plain(renameat2(AT_FDCWD, path.c_str(), AT_FDCWD, other.c_str(), static_cast<unsigned>(s.flags)));
    case Op::link: return plain(linkat(AT_FDCWD, path.c_str(), AT_FDCWD, other.c_str(), s.flags));
    case Op::symlink: return plain(symlink(s.other.c_str(), path.c_str()));
    case Op::mknod: return plain(mknod(path.c_str(), static_cast<mode_t>(s.flags) | s.mode, 0));
    case Op::chmod: return plain(chmod(path.c_str(), s.mode));
    case Op::chown: return plain(fchownat(AT_FDCWD, path.c_str(), s.uid, s.gid, s.flags));
    case Op::utimens: return plain(utimensat(AT_FDCWD, path.c_str(), times_of(s).data(), s.flags));
    case Op::umask: return umask(s.mode & 0777), Outcome{};
    default: return on_file(s, side, path);
  }
}

}  // namespace

// Raw calls, for glibc's change every thread; the user last, because with uid 0 go the capabilities.
void become(const Actor& actor) {
  syscall(SYS_setfsuid, 0);
  syscall(SYS_setgroups, actor.groups.size(), actor.groups.data());
  syscall(SYS_setfsgid, actor.gid);
  syscall(SYS_setfsuid, actor.uid);
}

Outcome perform(const Step& step, Side& side) {
  const std::string path = side.root + "/" + step.path;
  const std::string other = side.root + "/" + step.other;
  return on_path(step, side, path, other);
}

std::string describe(const Outcome& outcome) {
  return fmt::format("{} errno {} ({}) {}", outcome.result, outcome.error, strerrorname_np(outcome.error), outcome.data);
}

}  // namespace berth::parity

// statx, ioctls, extended attributes, statvfs, sockets.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "broker/base/unique_fd.hpp"
#include "tests/posix/scenarios.hpp"

namespace berth::posix {
namespace {

void extended_status(Run& run) {
  for (const Type type : kTypes) {
    run.put("x", type, {0640, kOwner.uid, kOwner.gid});
    const auto plain = run.look("x");
    for (const std::string& path : {run.at("x"), run.seen("x")}) {
      struct statx found{};
      const std::string of = std::string(" of ") + name_of(type);
      run.works("statx" + of, statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &found));
      run.is("statx: basic fields" + of, (found.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS);
      run.is("statx: time of birth" + of, (found.stx_mask & STATX_BTIME) != 0 && found.stx_btime.tv_sec > 1'500'000'000);
      run.same("statx: mode" + of, static_cast<mode_t>(found.stx_mode), plain.st_mode);
      run.same("statx: links" + of, static_cast<nlink_t>(found.stx_nlink), plain.st_nlink);
      run.same("statx: size" + of, static_cast<off_t>(found.stx_size), plain.st_size);
      run.same("statx: inode" + of, static_cast<ino_t>(found.stx_ino), plain.st_ino);
      run.is("statx: change time" + of, found.stx_ctime.tv_sec == plain.st_ctim.tv_sec &&
                                            found.stx_ctime.tv_nsec == static_cast<unsigned>(plain.st_ctim.tv_nsec));
      for (const int flags : {AT_STATX_FORCE_SYNC, AT_STATX_DONT_SYNC}) {
        run.works("statx with a flag" + of, statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW | flags, STATX_SIZE, &found));
      }
    }
    if (type != Type::file && type != Type::directory) continue;
    const UniqueFd file(open(run.at("x").c_str(), O_RDONLY | O_CLOEXEC));
    struct statx found{};
    run.works("statx of a descriptor", statx(file.get(), "", AT_EMPTY_PATH, STATX_ALL, &found));
    run.is("statx of a descriptor: inode", found.stx_ino == plain.st_ino);
    struct statx later{};
    run.works("chmod", chmod(run.at("x").c_str(), 0600));
    run.works("statx after it", statx(file.get(), "", AT_EMPTY_PATH, STATX_ALL, &later));
    run.is("the time of birth stays",
           found.stx_btime.tv_sec == later.stx_btime.tv_sec && found.stx_btime.tv_nsec == later.stx_btime.tv_nsec);
    run.mode("the mode does not", later.stx_mode, 0600);
  }
  struct statx unused{};
  run.fails("statx with unknown flags", statx(AT_FDCWD, run.at("x").c_str(), 0x8, STATX_ALL, &unused), EINVAL);
}

// EFS has neither extended attributes nor access control lists.
void extended_attributes(Run& run) {
  if (!run.shared()) return;
  run.put("x", Type::file);
  std::array<char, 64> value{};
  const std::string path = run.at("x");
  for (const char* name : {"user.a", "trusted.a", "security.a"}) {
    run.fails(fmt::format("setxattr {}", name), setxattr(path.c_str(), name, "v", 1, 0), EOPNOTSUPP);
    run.fails(fmt::format("getxattr {}", name), getxattr(path.c_str(), name, value.data(), value.size()), EOPNOTSUPP);
    run.fails(fmt::format("removexattr {}", name), removexattr(path.c_str(), name), EOPNOTSUPP);
  }
  run.fails("getxattr security.capability", getxattr(path.c_str(), "security.capability", value.data(), value.size()),
            EOPNOTSUPP);
  run.fails("listxattr", listxattr(path.c_str(), value.data(), value.size()), EOPNOTSUPP);
}

int flags_of(int fd, long command, long& flags) { return error_of(ioctl(fd, static_cast<unsigned long>(command), &flags)); }

// What chattr and lsattr ask for.
void file_flags(Run& run) {
  run.put_content("x", "text", {0666, 0, 0});
  run.put("d", Type::directory);
  // Not every file system has them; natively is asked first.
  static bool there = true;
  if (!run.shared()) {
    const UniqueFd probe(open(run.admin("x").c_str(), O_RDONLY | O_CLOEXEC));
    long flags = 0;
    there = flags_of(probe.get(), FS_IOC_GETFLAGS, flags) != ENOTTY;
  }
  if (!there) return;
  for (const char* name : {"x", "d"}) {
    const UniqueFd file(open(run.at(name).c_str(), O_RDONLY | O_CLOEXEC));
    long flags = 0;
    run.error(fmt::format("FS_IOC_GETFLAGS of {}", name), flags_of(file.get(), FS_IOC_GETFLAGS, flags), 0);
    long more = flags | FS_NODUMP_FL | FS_NOATIME_FL;
    run.error(fmt::format("FS_IOC_SETFLAGS of {}", name), flags_of(file.get(), FS_IOC_SETFLAGS, more), 0);
    long now = 0;
    const UniqueFd other(open(run.seen(name).c_str(), O_RDONLY | O_CLOEXEC));
    run.error(fmt::format("FS_IOC_GETFLAGS again of {}", name), flags_of(other.get(), FS_IOC_GETFLAGS, now), 0);
    run.same(fmt::format("flags of {}", name), now & (FS_NODUMP_FL | FS_NOATIME_FL),
             static_cast<long>(FS_NODUMP_FL | FS_NOATIME_FL));
    struct fsxattr extended{};
    run.works(fmt::format("FS_IOC_FSGETXATTR of {}", name), ioctl(file.get(), FS_IOC_FSGETXATTR, &extended));
    run.same(fmt::format("flags by FS_IOC_FSGETXATTR of {}", name), extended.fsx_xflags & FS_XFLAG_NODUMP,
             static_cast<unsigned>(FS_XFLAG_NODUMP));
    long version = 0;
    if (flags_of(file.get(), FS_IOC_GETVERSION, version) != ENOTTY) {  // tmpfs has none
      run.works(fmt::format("FS_IOC_GETVERSION of {}", name), ioctl(file.get(), FS_IOC_GETVERSION, &version));
    }
    run.error(fmt::format("FS_IOC_SETFLAGS back of {}", name), flags_of(file.get(), FS_IOC_SETFLAGS, flags), 0);
  }
  const UniqueFd file(open(run.at("x").c_str(), O_RDWR | O_CLOEXEC));
  long flags = 0;
  flags_of(file.get(), FS_IOC_GETFLAGS, flags);
  long immutable = flags | FS_IMMUTABLE_FL;
  run.error("FS_IMMUTABLE_FL", flags_of(file.get(), FS_IOC_SETFLAGS, immutable), 0);
  run.fails("unlink of what is immutable", unlink(run.at("x").c_str()), EPERM);
  run.fails("open for writing of what is immutable", open(run.at("x").c_str(), O_WRONLY | O_CLOEXEC), EPERM);
  run.fails("chmod of what is immutable", chmod(run.at("x").c_str(), 0600), EPERM);
  run.fails("link of what is immutable", link(run.at("x").c_str(), run.at("y").c_str()), EPERM);
  run.fails("rename of what is immutable", rename(run.at("x").c_str(), run.at("y").c_str()), EPERM);
  run.error("FS_IOC_SETFLAGS of what is immutable", flags_of(file.get(), FS_IOC_SETFLAGS, flags), 0);
  long append = flags | FS_APPEND_FL;
  run.error("FS_APPEND_FL", flags_of(file.get(), FS_IOC_SETFLAGS, append), 0);
  run.fails("open for writing of what only grows", open(run.at("x").c_str(), O_WRONLY | O_CLOEXEC), EPERM);
  run.fails("truncate of what only grows", truncate(run.at("x").c_str(), 0), EPERM);
  run.error("FS_IOC_SETFLAGS of what only grows", flags_of(file.get(), FS_IOC_SETFLAGS, flags), 0);
  for (const User& user : {kOwner, kStranger}) {
    run.error(fmt::format("FS_IOC_SETFLAGS by {}", user.name),
              run.as(user,
                     [&] {
                       const UniqueFd own(open(run.at("x").c_str(), O_RDWR | O_CLOEXEC));
                       long wanted = flags | FS_NODUMP_FL;
                       return flags_of(own.get(), FS_IOC_SETFLAGS, wanted);
                     }),
              run.effective(user).uid == 0 ? 0 : EPERM);
  }
}

void unknown_ioctls(Run& run) {
  run.put_content("x", "text", {0666, 0, 0});
  run.put("d", Type::directory, {0777, 0, 0});
  for (const char* name : {"x", "d"}) {
    const UniqueFd file(open(run.at(name).c_str(), O_RDONLY | O_CLOEXEC));
    long value = 0;
    run.fails(fmt::format("TIOCGWINSZ of {}", name), ioctl(file.get(), 0x5413, &value), ENOTTY);
    run.fails(fmt::format("an unknown ioctl of {}", name), ioctl(file.get(), _IOR('B', 77, long), &value), ENOTTY);
    int block = 0;
    run.works(fmt::format("FIGETBSZ of {}", name), ioctl(file.get(), FIGETBSZ, &block));
  }
}

void statistics(Run& run) {
  struct statvfs found{};
  run.works("statvfs", statvfs(run.at("").c_str(), &found));
  run.same("longest name", found.f_namemax, 255UL);
  run.is("blocks", found.f_blocks > 0 && found.f_bavail <= found.f_bfree && found.f_bfree <= found.f_blocks);
  const UniqueFd directory(open(run.at("").c_str(), O_RDONLY | O_CLOEXEC));
  struct statvfs by_descriptor{};
  run.works("fstatvfs", fstatvfs(directory.get(), &by_descriptor));
  run.same("block size by both", by_descriptor.f_bsize, found.f_bsize);
  run.same("pathconf _PC_NAME_MAX", pathconf(run.at("").c_str(), _PC_NAME_MAX), 255L);
}

void sockets(Run& run) {
  run.put("d", Type::directory, {0777, 0, 0});
  const UniqueFd here(open(".", O_PATH | O_CLOEXEC));
  if (chdir(run.at("d").c_str()) != 0) return;
  struct sockaddr_un address{AF_UNIX, "s"};
  const auto* name = reinterpret_cast<const struct sockaddr*>(&address);
  const UniqueFd server(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  run.works("bind", bind(server.get(), name, sizeof(address)));
  run.works("listen", listen(server.get(), 5));
  run.same("its type", run.look("d/s").st_mode & S_IFMT, static_cast<mode_t>(S_IFSOCK));
  const UniqueFd client(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  run.works("connect", connect(client.get(), name, sizeof(address)));
  const UniqueFd again(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  run.fails("bind to a name that is there", bind(again.get(), name, sizeof(address)), EADDRINUSE);
  for (const User& asked : {kStranger, kOwner}) {
    run.as_admin(
        [&] { return chmod(run.admin("d/s").c_str(), 0755) + lchown(run.admin("d/s").c_str(), kOwner.uid, kOwner.gid); });
    const UniqueFd other(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const User user = run.effective(asked);
    run.error(fmt::format("connect by {}", asked.name),
              run.as(asked, [&] { return error_of(connect(other.get(), name, sizeof(address))); }),
              user.uid == kOwner.uid ? 0 : EACCES);
  }
  run.works("unlink", unlink("s"));
  run.fails("connect to nothing", connect(again.get(), name, sizeof(address)), ENOENT);
  static_cast<void>(fchdir(here.get()));
}

}  // namespace

std::vector<Scenario> other_scenarios() {
  return {{"ExtendedStatus", extended_status}, {"ExtendedAttributes", extended_attributes},
          {"FileFlags", file_flags},           {"UnknownIoctls", unknown_ioctls},
          {"Statistics", statistics},          {"Sockets", sockets}};
}

}  // namespace berth::posix

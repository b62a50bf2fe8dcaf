// suid and sgid bits go when someone without CAP_FSETID changes what is in the file, by whatever way.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

#include "broker/base/unique_fd.hpp"
#include "tests/posix/scenarios.hpp"

namespace berth::posix {
namespace {

struct Way {
  const char* name;
  int flags;
  long (*change)(int fd, const std::string& path, int source);
};

long write_vector(int fd, const std::string&, int) {
  char letter = 'x';
  const struct iovec part{&letter, 1};
  return pwritev(fd, &part, 1, 0);
}

long copy_in(int fd, const std::string&, int source) {
  loff_t from = 0;
  loff_t to = 0;
  return copy_file_range(source, &from, fd, &to, 4, 0);
}

long send_in(int fd, const std::string&, int source) {
  off_t from = 0;
  return sendfile(fd, source, &from, 4);
}

long splice_in(int fd, const std::string&, int) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return -1;
  const UniqueFd reading(ends[0]);
  const UniqueFd writing(ends[1]);
  if (::write(writing.get(), "x", 1) != 1) return -1;
  return splice(reading.get(), nullptr, fd, nullptr, 1, 0);
}

long open_again(int, const std::string& path, int) {
  return UniqueFd(open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC)) ? 0 : -1;
}

constexpr std::array<Way, 12> kWays{{
    {"pwrite", O_WRONLY, [](int fd, const std::string&, int) -> long { return pwrite(fd, "x", 1, 0); }},
    {"write", O_RDWR, [](int fd, const std::string&, int) -> long { return write(fd, "x", 1); }},
    {"append", O_WRONLY | O_APPEND, [](int fd, const std::string&, int) -> long { return write(fd, "x", 1); }},
    {"pwritev", O_RDWR, write_vector},
    {"truncate", O_RDONLY, [](int, const std::string& path, int) -> long { return truncate(path.c_str(), 1); }},
    {"ftruncate", O_RDWR, [](int fd, const std::string&, int) -> long { return ftruncate(fd, 1); }},
    {"open O_TRUNC", O_RDONLY, open_again},
    {"fallocate", O_RDWR, [](int fd, const std::string&, int) -> long { return fallocate(fd, 0, 0, 100); }},
    {"punching a hole", O_RDWR,
     [](int fd, const std::string&, int) -> long { return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 2); }},
    {"copy_file_range", O_RDWR, copy_in},
    {"sendfile", O_RDWR, send_in},
    {"splice", O_RDWR, splice_in},
}};

void after_a_change(Run& run) {
  run.put_content("source", "abcdef", {0644, 0, 0});
  for (const Way& way : kWays) {
    for (const User& asked : kUsers) {
      const User user = run.effective(asked);
      for (const mode_t mode : {06777U, 04777U, 02777U, 02767U, 06767U, 0777U}) {
        run.put_content("x", "text", {mode, kOwner.uid, kOwner.gid});
        const int got = run.as(asked, [&] {
          const UniqueFd source(open(run.at("source").c_str(), O_RDONLY | O_CLOEXEC));
          const UniqueFd file(open(run.at("x").c_str(), way.flags | O_CLOEXEC));
          return file ? error_of(way.change(file.get(), run.at("x"), source.get())) : errno;
        });
        const std::string what = fmt::format("{} of a file of mode {:04o} by {}", way.name, mode, asked.name);
        run.error(what, got, 0);
        mode_t kept = mode;
        if (user.uid != 0) {
          kept &= ~static_cast<mode_t>(S_ISUID);
          if ((mode & S_IXGRP) != 0 || !in_group(user, kOwner.gid)) kept &= ~static_cast<mode_t>(S_ISGID);
        }
        run.mode(what + ": mode", run.look("x").st_mode, kept);
      }
    }
  }
}

// A descriptor handed on: who writes counts, not who opened it.
void by_a_handed_on_descriptor(Run& run) {
  for (const User& writer : kUsers) {
    const User user = run.effective(writer);
    for (const mode_t mode : {06700U, 06777U, 02660U}) {
      run.put_content("x", "text", {mode, kOwner.uid, kOwner.gid});
      const UniqueFd file = run.as(kOwner, [&] { return UniqueFd(open(run.at("x").c_str(), O_RDWR | O_CLOEXEC)); });
      const std::string what = fmt::format("write to a handed on descriptor of mode {:04o} by {}", mode, writer.name);
      run.same(what, run.as(writer, [&] { return pwrite(file.get(), "x", 1, 0); }), 1);
      mode_t kept = mode;
      if (user.uid != 0) {
        kept &= ~static_cast<mode_t>(S_ISUID);
        if ((mode & S_IXGRP) != 0 || !in_group(user, kOwner.gid)) kept &= ~static_cast<mode_t>(S_ISGID);
      }
      run.mode(what + ": mode", run.look("x").st_mode, kept);
    }
  }
}

// Nothing that is refused, and nothing that changes nothing, may take them.
void kept_where_nothing_is_written(Run& run) {
  for (const User& asked : {kOwner, kStranger}) {
    run.put_content("x", "text", {06755, kOwner.uid, kOwner.gid});
    run.as(asked, [&] {
      const UniqueFd file(open(run.at("x").c_str(), O_RDONLY | O_CLOEXEC));
      char byte = 0;
      run.same(fmt::format("pread by {}", asked.name), pread(file.get(), &byte, 1, 0), 1);
      run.fails(fmt::format("write to a descriptor for reading by {}", asked.name), write(file.get(), "x", 1), EBADF);
      return 0;
    });
    run.mode(fmt::format("mode after reading by {}", asked.name), run.look("x").st_mode, 06755);
  }
  if (run.effective(kStranger).uid == kOwner.uid) return;
  const int got = run.as(kStranger, [&] { return error_of(truncate(run.at("x").c_str(), 1)); });
  run.error("truncate by a stranger", got, EACCES);
  run.mode("mode after it", run.look("x").st_mode, 06755);
  run.put_content("w", "text", {06757, kOwner.uid, kOwner.gid});
  run.error("chmod without its suid bit by a stranger who may write it",
            run.as(kStranger, [&] { return error_of(chmod(run.at("w").c_str(), 0757)); }), EPERM);
  run.mode("mode after that", run.look("w").st_mode, 06757);
}

}  // namespace

std::vector<Scenario> privilege_scenarios() {
  return {{"PrivilegesAfterAChange", after_a_change},
          {"PrivilegesAfterAHandedOnWrite", by_a_handed_on_descriptor},
          {"PrivilegesKept", kept_where_nothing_is_written}};
}

}  // namespace berth::posix

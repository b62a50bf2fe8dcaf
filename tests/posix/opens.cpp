// open(2): flags on every type, running programs, fifos and sockets.
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/base/unique_fd.hpp"
#include "tests/posix/scenarios.hpp"

namespace berth::posix {
namespace {

int opened(const std::string& path, int flags) {
  const UniqueFd file(open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK, 0644));
  return file ? 0 : errno;
}

void flags_on_every_type(Run& run) {
  struct Case {
    const char* name;
    int flags;
    std::array<int, 7> wanted;  // of each type, in order
  };
  constexpr std::array<Case, 14> kCases{{
      {"O_RDONLY", O_RDONLY, {0, 0, 0, ENXIO, -1, -1, ENOENT}},
      {"O_WRONLY", O_WRONLY, {0, EISDIR, ENXIO, ENXIO, -1, -1, ENOENT}},
      {"O_RDWR", O_RDWR, {0, EISDIR, 0, ENXIO, -1, -1, ENOENT}},
      {"O_RDONLY|O_CREAT", O_RDONLY | O_CREAT, {0, EISDIR, 0, ENXIO, -1, -1, -1}},
      {"O_RDWR|O_TRUNC", O_RDWR | O_TRUNC, {0, EISDIR, 0, ENXIO, -1, -1, ENOENT}},
      {"O_RDONLY|O_TRUNC", O_RDONLY | O_TRUNC, {0, EISDIR, 0, ENXIO, -1, -1, ENOENT}},
      {"O_CREAT|O_EXCL", O_RDWR | O_CREAT | O_EXCL, {EEXIST, EEXIST, EEXIST, EEXIST, EEXIST, EEXIST, EEXIST}},
      {"O_DIRECTORY", O_RDONLY | O_DIRECTORY, {ENOTDIR, 0, ENOTDIR, ENOTDIR, ENOTDIR, ENOTDIR, ENOENT}},
      {"O_NOFOLLOW", O_RDONLY | O_NOFOLLOW, {0, 0, 0, ENXIO, -1, -1, ELOOP}},
      {"O_PATH", O_PATH, {0, 0, 0, 0, 0, 0, ENOENT}},
      {"O_PATH|O_NOFOLLOW", O_PATH | O_NOFOLLOW, {0, 0, 0, 0, 0, 0, 0}},
      {"O_PATH|O_DIRECTORY", O_PATH | O_DIRECTORY, {ENOTDIR, 0, ENOTDIR, ENOTDIR, ENOTDIR, ENOTDIR, ENOENT}},
      {"O_TMPFILE", O_RDWR | O_TMPFILE, {ENOTDIR, 0, ENOTDIR, ENOTDIR, ENOTDIR, ENOTDIR, ENOENT}},
      {"O_TMPFILE|O_RDONLY", O_TMPFILE, {EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL}},
  }};
  for (const Type type : kTypes) {
    for (const Case& c : kCases) {
      const int wanted = c.wanted.at(static_cast<std::size_t>(type));
      if (wanted < 0) continue;  // devices: the share is mounted nodev
      run.put("x", type, {0666, 0, 0}, "missing");
      run.error(fmt::format("open {} of {}", c.name, name_of(type)), opened(run.at("x"), c.flags), wanted);
    }
  }
}

void truncating(Run& run) {
  for (const int flags : {O_WRONLY | O_TRUNC, O_RDWR | O_TRUNC, O_RDWR | O_CREAT | O_TRUNC, O_WRONLY | O_TRUNC | O_APPEND}) {
    run.put_content("x", "text");
    run.error(fmt::format("open {:o}", flags), opened(run.at("x"), flags), 0);
    run.same(fmt::format("open {:o}: size", flags), run.look("x").st_size, 0);
  }
}

void access_modes(Run& run) {
  run.put_content("x", "text");
  char byte = 'b';
  const UniqueFd reading(open(run.at("x").c_str(), O_RDONLY | O_CLOEXEC));
  const UniqueFd writing(open(run.at("x").c_str(), O_WRONLY | O_CLOEXEC));
  const UniqueFd path(open(run.at("x").c_str(), O_PATH | O_CLOEXEC));
  const UniqueFd directory(open(run.at("").c_str(), O_RDONLY | O_CLOEXEC));
  run.fails("write to a descriptor for reading", write(reading.get(), &byte, 1), EBADF);
  run.fails("read of a descriptor for writing", read(writing.get(), &byte, 1), EBADF);
  run.fails("read of an O_PATH descriptor", read(path.get(), &byte, 1), EBADF);
  run.fails("write to an O_PATH descriptor", write(path.get(), &byte, 1), EBADF);
  run.fails("fchmod of an O_PATH descriptor", fchmod(path.get(), 0600), EBADF);
  run.fails("ftruncate of an O_PATH descriptor", ftruncate(path.get(), 0), EBADF);
  run.fails("read of a directory", read(directory.get(), &byte, 1), EISDIR);
  run.fails("write to a directory", write(directory.get(), &byte, 1), EBADF);
  run.fails("pread at a negative offset", pread(reading.get(), &byte, 1, -1), EINVAL);
  run.fails("pwrite at a negative offset", pwrite(writing.get(), &byte, 1, -1), EINVAL);
  run.fails("read to a wrong address", read(reading.get(), reinterpret_cast<void*>(1), 1), EFAULT);
  run.same("F_GETFL for reading", fcntl(reading.get(), F_GETFL) & O_ACCMODE, O_RDONLY);
  run.same("F_GETFL for writing", fcntl(writing.get(), F_GETFL) & O_ACCMODE, O_WRONLY);
  run.works("fcntl F_SETFL O_APPEND", fcntl(writing.get(), F_SETFL, O_APPEND));
  run.same("a write that appends by F_SETFL", pwrite(writing.get(), "+", 1, 0), 1);
  run.same("its content", run.content("x"), "text+");
}

void relative_to_descriptors(Run& run) {
  run.put("d", Type::directory, {0777, 0, 0});
  run.put_content("d/x", "text");
  for (const int flags : {O_RDONLY | O_DIRECTORY, O_PATH | O_DIRECTORY}) {
    const UniqueFd directory(open(run.at("d").c_str(), flags | O_CLOEXEC));
    struct stat found{};
    const std::string how = flags == (O_RDONLY | O_DIRECTORY) ? "by an open directory" : "by an O_PATH descriptor";
    run.works("fstatat " + how, fstatat(directory.get(), "x", &found, 0));
    run.works("faccessat " + how, faccessat(directory.get(), "x", R_OK, 0));
    run.works("mkdirat " + how, mkdirat(directory.get(), "n", 0755));
    run.works("renameat " + how, renameat(directory.get(), "n", directory.get(), "m"));
    run.works("unlinkat " + how, unlinkat(directory.get(), "m", AT_REMOVEDIR));
    run.works("symlinkat " + how, symlinkat("x", directory.get(), "l"));
    run.works("linkat " + how, linkat(directory.get(), "x", directory.get(), "k", 0));
    run.works("fchmodat " + how, fchmodat(directory.get(), "k", 0600, 0));
    run.works("fchownat " + how, fchownat(directory.get(), "k", 1, 1, AT_SYMLINK_NOFOLLOW));
    run.works("utimensat " + how, utimensat(directory.get(), "l", nullptr, AT_SYMLINK_NOFOLLOW));
    run.works("mknodat " + how, mknodat(directory.get(), "p", S_IFIFO | 0644, 0));
    const UniqueFd up(openat(directory.get(), "..", O_PATH | O_CLOEXEC));
    run.is("openat of .. " + how, static_cast<bool>(up));
    run.fails(
        "openat in a file " + how,
        [&] {
          const UniqueFd file(openat(directory.get(), "x", O_RDONLY | O_CLOEXEC));
          return openat(file.get(), "y", O_RDONLY | O_CLOEXEC);
        }(),
        ENOTDIR);
    for (const char* name : {"l", "k", "p"}) unlinkat(directory.get(), name, 0);
  }
}

int status_of(pid_t child) {
  int status = 0;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int execute(const std::string& path) {
  const pid_t child = fork();
  if (child == 0) {
    execl(path.c_str(), "sleep", "0", nullptr);
    _exit(errno);
  }
  return status_of(child);
}

// A program that runs is not written to, and what is open for writing does not run.
void running_programs(Run& run) {
  std::string program(1U << 22U, '\0');
  {
    const UniqueFd source(open("/bin/sleep", O_RDONLY | O_CLOEXEC));
    program.resize(static_cast<std::size_t>(std::max<ssize_t>(read(source.get(), program.data(), program.size()), 0)));
  }
  run.put_content("sleep", program, {0777, 0, 0});
  {
    const UniqueFd writing(open(run.at("sleep").c_str(), O_RDWR | O_CLOEXEC));
    run.error("execution of what is open for writing", execute(run.at("sleep")), ETXTBSY);
    if (run.two_mounts())
      run.error("execution through the other mount of what is open for writing", execute(run.seen("sleep")), ETXTBSY);
  }
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return;
  const UniqueFd started(ends[0]);
  UniqueFd child_end(ends[1]);
  const pid_t child = fork();
  if (child == 0) {
    execl(run.at("sleep").c_str(), "sleep", "100", nullptr);
    _exit(errno);
  }
  child_end.reset();
  char nothing = 0;
  run.same("the program has started", read(started.get(), &nothing, 1), 0);  // closed by exec
  run.error("opening a running program for writing", opened(run.at("sleep"), O_WRONLY), ETXTBSY);
  run.fails("truncating a running program", truncate(run.at("sleep").c_str(), 0), ETXTBSY);
  run.error("opening a running program for reading", opened(run.at("sleep"), O_RDONLY), 0);
  if (run.two_mounts()) {
    run.error("opening a running program for writing through the other mount", opened(run.seen("sleep"), O_WRONLY), ETXTBSY);
    run.fails("truncating a running program through the other mount", truncate(run.seen("sleep").c_str(), 0), ETXTBSY);
  }
  run.works("unlinking a running program", unlink(run.at("sleep").c_str()));
  kill(child, SIGKILL);
  status_of(child);
}

void executing(Run& run) {
  run.put_content("script", "#!/bin/sh\nexit 7\n", {0755, kOwner.uid, kOwner.gid});
  for (const User& asked : kUsers) {
    const User user = run.effective(asked);
    for (const mode_t mode : {0755U, 0700U, 0070U, 0055U, 0005U, 0644U, 0444U}) {
      run.as_admin([&] { return chmod(run.admin("script").c_str(), mode); });
      const Object object{kOwner.uid, kOwner.gid, mode};
      const int wanted = !may(user, object, X_OK) ? EACCES : !may(user, object, R_OK) ? 2 : 7;  // the shell can't open it: 2
      run.same(fmt::format("execution of a script of mode {:03o} by {}", mode, asked.name),
               run.as(asked, [&] { return execute(run.at("script")); }), wanted);
    }
  }
}

void fifos(Run& run) {
  run.put("p", Type::fifo, {0666, 0, 0});
  run.error("opening a fifo for writing that nobody reads", opened(run.at("p"), O_WRONLY), ENXIO);
  const UniqueFd reader(open(run.at("p").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  UniqueFd writer(open(run.at("p").c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  std::string text(5, ' ');
  run.fails("reading an empty fifo", read(reader.get(), text.data(), 5), EAGAIN);
  run.same("writing to a fifo", write(writer.get(), "hello", 5), 5);
  struct pollfd ready{reader.get(), POLLIN, 0};
  run.same("poll of a fifo", poll(&ready, 1, 0), 1);
  run.same("reading a fifo", read(reader.get(), text.data(), 5), 5);
  run.same("what was read", text, "hello");
  run.fails("lseek of a fifo", lseek(reader.get(), 0, SEEK_SET), ESPIPE);
  writer.reset();
  run.same("reading a fifo that nobody writes", read(reader.get(), text.data(), 5), 0);
}

}  // namespace

std::vector<Scenario> open_scenarios() {
  return {{"OpenFlags", flags_on_every_type},
          {"OpenTruncates", truncating},
          {"AccessModes", access_modes},
          {"RelativeToDescriptors", relative_to_descriptors},
          {"RunningPrograms", running_programs},
          {"Execution", executing},
          {"Fifos", fifos}};
}

}  // namespace berth::posix

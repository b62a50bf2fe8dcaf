// O_TMPFILE and linkat: files that get their name when they are whole.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "broker/base/unique_fd.hpp"
#include "tests/posix/scenarios.hpp"

namespace berth::posix {
namespace {

long give_name(int fd, const std::string& path) {
  return linkat(AT_FDCWD, fmt::format("/proc/self/fd/{}", fd).c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW);
}

void named_later(Run& run) {
  for (const User& asked : kUsers) {
    const User user = run.effective(asked);
    run.put("d", Type::directory, {0777, 0, 0});
    const auto directory = run.look("d");
    run.let_time_pass();
    run.as(asked, [&] {
      const std::string by = std::string(" by ") + asked.name;
      umask(027);
      const UniqueFd file(open(run.at("d").c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0666));
      umask(0);
      run.is("O_TMPFILE" + by, static_cast<bool>(file));
      struct stat made{};
      run.works("fstat" + by, fstat(file.get(), &made));
      run.same("links" + by, made.st_nlink, 0U);
      run.same("owner" + by, fmt::format("{}:{}", made.st_uid, made.st_gid), fmt::format("{}:{}", user.uid, user.gid));
      run.mode("mode" + by, made.st_mode, 0640);
      run.times("O_TMPFILE: the directory" + by, directory, run.look("d"), "");
      run.same("write" + by, write(file.get(), "text", 4), 4);
      run.works("linkat" + by, give_name(file.get(), run.at("d/x")));
      const auto named = run.look("d/x");
      run.same("links after linkat" + by, named.st_nlink, 1U);
      run.is("the same inode" + by, named.st_ino == made.st_ino);
      run.same("content" + by, run.content("d/x"), "text");
      run.same("write after it has a name" + by, pwrite(file.get(), "T", 1, 0), 1);
      run.same("content after that" + by, run.content("d/x"), "Text");
      run.fails("linkat to a name that is there" + by, give_name(file.get(), run.at("d/x")), EEXIST);
      run.works("linkat to another name" + by, give_name(file.get(), run.at("d/y")));
      run.works("unlink" + by, unlink(run.at("d/x").c_str()));
      run.works("unlink of the other name" + by, unlink(run.at("d/y").c_str()));
      run.works("fstat after that" + by, fstat(file.get(), &made));
      run.same("links after that" + by, made.st_nlink, 0U);
      return 0;
    });
  }
}

void never_named(Run& run) {
  run.put("d", Type::directory, {0777, 0, 0});
  {
    const UniqueFd file(open(run.at("d").c_str(), O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600));
    run.is("O_TMPFILE|O_EXCL", static_cast<bool>(file));
    run.fails("linkat of it", give_name(file.get(), run.at("d/x")), ENOENT);
    run.works("ftruncate", ftruncate(file.get(), 100));
    run.works("fchmod", fchmod(file.get(), 0400));
    const UniqueFd again(open(fmt::format("/proc/self/fd/{}", file.get()).c_str(), O_RDONLY | O_CLOEXEC));
    run.is("opening it again", static_cast<bool>(again));
  }
  run.works("rmdir of its directory", rmdir(run.at("d").c_str()));
}

void by_descriptor(Run& run) {
  run.put_content("f", "text", {0644, kOwner.uid, kOwner.gid});
  const UniqueFd file(open(run.at("f").c_str(), O_RDONLY | O_CLOEXEC));
  run.works("linkat AT_EMPTY_PATH by root", linkat(file.get(), "", AT_FDCWD, run.at("g").c_str(), AT_EMPTY_PATH));
  run.same("links", run.look("g").st_nlink, 2U);
  const UniqueFd directory(open(run.at("").c_str(), O_PATH | O_CLOEXEC));
  run.fails("linkat AT_EMPTY_PATH of a directory", linkat(directory.get(), "", AT_FDCWD, run.at("h").c_str(), AT_EMPTY_PATH),
            EPERM);
}

}  // namespace

std::vector<Scenario> nameless_scenarios() {
  return {{"NamedLater", named_later}, {"NeverNamed", never_named}, {"LinkedByDescriptor", by_descriptor}};
}

}  // namespace berth::posix

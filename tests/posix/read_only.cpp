// A mount without the right to write, held against a directory that is mounted read-only.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include "broker/base/unique_fd.hpp"
#include "tests/posix/calls.hpp"
#include "tests/posix/scenarios.hpp"

namespace berth::posix {
namespace {

bool only_looks(const PathCall& call) {
  if (call.changes || call.owner_only) return false;
  const std::string_view name{call.name};
  for (const char* writes :
       {"truncate", "utimensat to now", "open O_WRONLY", "open O_RDWR", "open O_TRUNC", "open O_TMPFILE", "link of"}) {
    if (name == writes) return false;
  }
  return true;
}

void every_call(Run& run) {
  run.put("aside", Type::directory, {0777, kOwner.uid, kOwner.gid});
  for (const PathCall& call : path_calls()) {
    for (const User& user : {kRoot, kOwner}) {
      set_scene(run, call, "x", {0666, kOwner.uid, kOwner.gid});
      const auto before = run.look("x");
      const int got = run.as(user, [&] { return call.call(run.at("x").c_str(), run.at("aside/other").c_str()); });
      run.error(fmt::format("{} by {}", call.name, user.name), got, only_looks(call) ? 0 : EROFS);
      run.times(fmt::format("{} by {}", call.name, user.name), before, run.look("x"), "");
    }
  }
}

// What is wrong anyway is said first.
void wrong_paths(Run& run) {
  run.put("file", Type::file, {0666, 0, 0});
  run.put("directory", Type::directory, {0777, 0, 0});
  run.put("directory/inside", Type::file);
  const std::string file = run.at("file");
  run.fails("mkdir where a file is", mkdir(file.c_str(), 0755), EEXIST);
  run.fails("mknod where a file is", mknod(file.c_str(), S_IFIFO | 0644, 0), EEXIST);
  run.fails("symlink where a file is", symlink("t", file.c_str()), EEXIST);
  run.fails("link where a file is", link(file.c_str(), run.at("directory").c_str()), EEXIST);
  run.fails("mkdir below a file", mkdir((file + "/x").c_str(), 0755), ENOTDIR);
  run.fails("mkdir below nothing", mkdir(run.at("nothing/x").c_str(), 0755), ENOENT);
  run.fails("truncate of a directory", truncate(run.at("directory").c_str(), 0), EISDIR);
  run.error("open O_CREAT|O_EXCL where a file is",
            UniqueFd(open(file.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0644)) ? 0 : errno, EEXIST);
  run.error("open O_CREAT|O_RDONLY where a file is",
            UniqueFd(open(file.c_str(), O_CREAT | O_RDONLY | O_CLOEXEC, 0644)) ? 0 : errno, 0);
  run.error("open O_RDONLY|O_TRUNC", UniqueFd(open(file.c_str(), O_RDONLY | O_TRUNC | O_CLOEXEC)) ? 0 : errno, EROFS);
  run.error("open of a directory for writing", UniqueFd(open(run.at("directory").c_str(), O_WRONLY | O_CLOEXEC)) ? 0 : errno,
            EISDIR);
  run.fails("chmod of nothing", chmod(run.at("nothing").c_str(), 0644), ENOENT);
}

void by_descriptor(Run& run) {
  run.put_content("x", "text", {0666, kOwner.uid, kOwner.gid});
  const UniqueFd file(open(run.at("x").c_str(), O_RDONLY | O_CLOEXEC));
  run.fails("fchmod", fchmod(file.get(), 0600), EROFS);
  run.fails("fchown", fchown(file.get(), 1, 1), EROFS);
  run.fails("futimens", futimens(file.get(), nullptr), EROFS);
  run.works("fsync", fsync(file.get()));
  run.works("flock", flock(file.get(), LOCK_EX));
  struct flock shared{};
  shared.l_type = F_RDLCK;
  run.works("a read lock", fcntl(file.get(), F_SETLK, &shared));
  char byte = 0;
  run.same("pread", pread(file.get(), &byte, 1, 0), 1);
  void* at = mmap(nullptr, 4, PROT_READ, MAP_SHARED, file.get(), 0);
  run.is("mmap", at != MAP_FAILED);
  if (at != MAP_FAILED) munmap(at, 4);
  run.same("its content", run.content("x"), "text");
  run.fails("access W_OK", access(run.at("x").c_str(), W_OK), EROFS);
  run.works("access R_OK", access(run.at("x").c_str(), R_OK));
}

}  // namespace

std::vector<Scenario> read_only_scenarios() {
  return {{"ReadOnlyCalls", every_call}, {"ReadOnlyWrongPaths", wrong_paths}, {"ReadOnlyDescriptors", by_descriptor}};
}

}  // namespace berth::posix

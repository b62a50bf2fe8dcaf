// link(2): counts, times, what may be linked.
#include <fcntl.h>
#include <unistd.h>

#include "tests/posix/scenarios.hpp"

namespace berth::posix {
namespace {

void counts_and_times(Run& run) {
  for (const Type type : kTypes) {
    if (type == Type::directory) continue;
    run.put("d", Type::directory, {0777, 0, 0});
    run.put("x", type, {0640, kOwner.uid, kOwner.gid});
    auto before = run.look("x");
    for (int made = 1; made <= 3; ++made) {
      const auto directory = run.look("d");
      run.let_time_pass();
      const std::string what = fmt::format("link of {}", name_of(type));
      run.works(what, link(run.at("x").c_str(), run.at(fmt::format("d/{}", made)).c_str()));
      const auto after = run.look("x");
      const auto linked = run.look(fmt::format("d/{}", made));
      run.same(what + ": links", after.st_nlink, made + 1U);
      run.same(what + ": links by the new name", linked.st_nlink, made + 1U);
      run.is(what + ": one inode", after.st_ino == linked.st_ino);
      run.is(what + ": mode and owner stay", after.st_mode == before.st_mode && after.st_uid == before.st_uid);
      run.times(what, before, after, "c");
      run.times(what + ": the directory", directory, run.look("d"), "mc");
      before = after;
    }
    for (int left = 3; left >= 1; --left) {
      const auto directory = run.look("d");
      run.let_time_pass();
      const std::string what = fmt::format("unlink of one of the names of {}", name_of(type));
      run.works(what, unlink(run.at(fmt::format("d/{}", left)).c_str()));
      const auto after = run.look("x");
      run.same(what + ": links", after.st_nlink, static_cast<nlink_t>(left));
      run.times(what, before, after, "c");
      run.times(what + ": the directory", directory, run.look("d"), "mc");
      before = after;
    }
    run.works("chmod by one name", type == Type::link ? 0 : chmod(run.at("x").c_str(), 0604));
  }
}

void one_file_by_all_names(Run& run) {
  run.put_content("x", "text");
  run.works("link", link(run.at("x").c_str(), run.at("y").c_str()));
  run.works("chmod", chmod(run.at("y").c_str(), 0600));
  run.mode("mode by the other name", run.look("x").st_mode, 0600);
  run.works("chown", chown(run.at("y").c_str(), 12, 34));
  run.same("owner by the other name", run.look("x").st_uid, 12U);
  run.works("truncate", truncate(run.at("y").c_str(), 2));
  run.same("size by the other name", run.look("x").st_size, 2);
  run.same("content by the other name", run.content("x"), "te");
  run.works("unlink of the first name", unlink(run.at("x").c_str()));
  run.same("content by the name that is left", run.content("y"), "te");
  run.same("links", run.look("y").st_nlink, 1U);
  run.same("what is unlinked is gone", run.look("x").st_mode, 0U);
}

void refused(Run& run) {
  run.put("f", Type::file);
  run.put("d", Type::directory);
  run.put("l", Type::link, {}, "f");
  const auto before = run.look("f");
  run.fails("link of a directory", link(run.at("d").c_str(), run.at("n").c_str()), EPERM);
  run.fails("link to a name that is there", link(run.at("f").c_str(), run.at("l").c_str()), EEXIST);
  run.fails("link to itself", link(run.at("f").c_str(), run.at("f").c_str()), EEXIST);
  run.fails("link with unknown flags", linkat(AT_FDCWD, run.at("f").c_str(), AT_FDCWD, run.at("n").c_str(), 1), EINVAL);
  run.fails("link from another file system", link("/proc/version", run.at("n").c_str()), EXDEV);
  run.fails("rename to another file system", rename(run.at("f").c_str(), "/proc/berth"), EXDEV);
  run.same("refused links leave the count", run.look("f").st_nlink, before.st_nlink);
  run.works("link of a symlink", link(run.at("l").c_str(), run.at("l2").c_str()));
  run.same("link of a symlink is one", run.look("l2").st_mode & S_IFMT, static_cast<mode_t>(S_IFLNK));
  run.works("link through a symlink", linkat(AT_FDCWD, run.at("l").c_str(), AT_FDCWD, run.at("f2").c_str(), AT_SYMLINK_FOLLOW));
  run.is("link through a symlink is of the file", run.look("f2").st_ino == run.look("f").st_ino);
}

// fs.protected_hardlinks: what one can't read and write, or is privileged, is not linked by others than its owner.
void of_others(Run& run) {
  run.put("d", Type::directory, {0777, 0, 0});
  for (const User& asked : kUsers) {
    const User user = run.effective(asked);
    const bool owns = user.uid == 0 || user.uid == kOwner.uid;
    for (const mode_t mode : {0666U, 0660U, 0644U, 0600U, 04666U, 02676U}) {
      run.put("x", Type::file, {mode, kOwner.uid, kOwner.gid});
      run.clear("d/y");
      const bool plain = (mode & S_ISUID) == 0 && (mode & (S_ISGID | S_IXGRP)) != (S_ISGID | S_IXGRP);
      const bool allowed = owns || (plain && may(user, {kOwner.uid, kOwner.gid, mode}, R_OK | W_OK));
      run.error(fmt::format("link of a file of mode {:04o} by {}", mode, asked.name),
                run.as(asked, [&] { return error_of(link(run.at("x").c_str(), run.at("d/y").c_str())); }), allowed ? 0 : EPERM);
    }
  }
}

// EFS allows 177 names; ext4 and others more.
void up_to_177(Run& run) {
  run.put("x", Type::file, {0666, kOwner.uid, kOwner.gid});
  run.put("d", Type::directory, {0777, 0, 0});
  for (int i = 2; i <= 177; ++i) run.works("link", link(run.at("x").c_str(), run.at(fmt::format("d/{}", i)).c_str()));
  run.same("links", run.look("x").st_nlink, 177U);
  if (!run.shared()) return;
  run.fails("link number 178", link(run.at("x").c_str(), run.at("d/178").c_str()), EMLINK);
  run.works("unlink of one", unlink(run.at("d/2").c_str()));
  run.works("link number 177 again", link(run.at("x").c_str(), run.at("d/178").c_str()));
  run.same("links again", run.look("x").st_nlink, 177U);
  run.works("rename of one of 177 names", rename(run.at("d/3").c_str(), run.at("d/e").c_str()));
}

}  // namespace

std::vector<Scenario> link_scenarios() {
  return {{"LinkCounts", counts_and_times},
          {"OneFileByAllNames", one_file_by_all_names},
          {"LinksRefused", refused},
          {"LinksOfOthers", of_others},
          {"LinksUpTo177", up_to_177}};
}

}  // namespace berth::posix

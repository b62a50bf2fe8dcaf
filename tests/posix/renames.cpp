// rename(2) and renameat2(2).
#include <fcntl.h>
#include <unistd.h>

#include "broker/base/unique_fd.hpp"
#include "tests/posix/scenarios.hpp"

namespace berth::posix {
namespace {

int rename_with(const std::string& from, const std::string& to, unsigned flags) {
  return error_of(renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags));
}

void to_a_new_name(Run& run) {
  for (const Type type : kTypes) {
    for (const bool other_directory : {false, true}) {
      run.put("a", Type::directory, {0777, 0, 0});
      run.put("b", Type::directory, {0777, 0, 0});
      run.put("a/x", type, {0640, kOwner.uid, kOwner.gid});
      const std::string to = other_directory ? "b/y" : "a/y";
      const auto before = run.look("a/x");
      const auto a = run.look("a");
      const auto b = run.look("b");
      run.let_time_pass();
      const std::string what = fmt::format("rename of {} to {}", name_of(type), to);
      run.works(what, rename(run.at("a/x").c_str(), run.at(to).c_str()));
      const auto after = run.look(to);
      run.is(what + ": the same inode", before.st_ino == after.st_ino && before.st_mode == after.st_mode);
      run.same(what + ": the old name", run.look("a/x").st_mode, 0U);
      run.same(what + ": links", after.st_nlink, before.st_nlink);
      run.times(what + ": the directory left", a, run.look("a"), "mc");
      run.times(what + ": the other directory", b, run.look("b"), other_directory ? "mc" : "");
      const nlink_t moved = type == Type::directory && other_directory ? 1 : 0;
      run.same(what + ": links of the directory left", run.look("a").st_nlink, a.st_nlink - moved);
      run.same(what + ": links of the other directory", run.look("b").st_nlink, b.st_nlink + moved);
    }
  }
}

int wanted_over(Type from, Type to) {
  if (from == Type::directory && to != Type::directory) return ENOTDIR;
  if (from != Type::directory && to == Type::directory) return EISDIR;
  return 0;
}

void over_everything(Run& run) {
  for (const Type from : kTypes) {
    for (const Type to : kTypes) {
      run.put("x", from, {0640, 0, 0});
      run.put("y", to, {0600, 0, 0});
      const auto before = run.look("x");
      const auto replaced = run.look("y");
      UniqueFd kept(open(run.at("y").c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
      run.let_time_pass();
      const std::string what = fmt::format("rename of {} over {}", name_of(from), name_of(to));
      const int wanted = wanted_over(from, to);
      run.error(what, rename_with(run.at("x"), run.at("y"), 0), wanted);
      run.is(what + ": what is there", run.look("y").st_ino == (wanted == 0 ? before : replaced).st_ino);
      run.same(what + ": the old name", run.look("x").st_mode, wanted == 0 ? 0U : before.st_mode);
      struct stat gone{};
      run.works(what + ": fstat of what was there", fstat(kept.get(), &gone));
      run.same(what + ": its links", gone.st_nlink, wanted == 0 ? 0U : replaced.st_nlink);
      run.times(what + ": what was there", replaced, gone, wanted == 0 && to != Type::directory ? "c" : wanted == 0 ? "c" : "");
    }
  }
}

void over_directories(Run& run) {
  for (const Type inside : kTypes) {
    run.put("x", Type::directory);
    run.put("y", Type::directory);
    run.put("y/inside", inside);
    run.error(fmt::format("rename over a directory with {}", name_of(inside)), rename_with(run.at("x"), run.at("y"), 0),
              ENOTEMPTY);
    run.error(fmt::format("rename of a directory with {}", name_of(inside)), rename_with(run.at("y"), run.at("x"), 0), 0);
    run.same(fmt::format("{} came along", name_of(inside)), run.look("x/inside").st_mode & S_IFMT, bits_of(inside));
  }
}

void into_itself(Run& run) {
  run.put("d", Type::directory);
  run.put("d/e", Type::directory);
  run.put("d/f", Type::file);
  run.error("rename into itself", rename_with(run.at("d"), run.at("d/x"), 0), EINVAL);
  run.error("rename into a directory of itself", rename_with(run.at("d"), run.at("d/e/x"), 0), EINVAL);
  run.error("rename over the own parent", rename_with(run.at("d/e"), run.at("d"), 0), ENOTEMPTY);
  run.error("rename of a file over its directory", rename_with(run.at("d/f"), run.at("d"), 0), ENOTEMPTY);
  run.error("rename to itself", rename_with(run.at("d/f"), run.at("d/f"), 0), 0);
  run.put("g", Type::file);
  run.works("link", link(run.at("g").c_str(), run.at("h").c_str()));
  run.error("rename to another name of the same file", rename_with(run.at("g"), run.at("h"), 0), 0);
  run.same("both names stay", run.look("g").st_nlink, 2U);
}

// A directory that gets another parent needs to be writable itself, for its `..` changes.
void of_directories_without_write(Run& run) {
  for (const User& asked : kUsers) {
    const User user = run.effective(asked);
    for (const mode_t mode : {0777U, 0555U, 0755U, 0070U, 0007U}) {
      run.put("a", Type::directory, {0777, 0, 0});
      run.put("b", Type::directory, {0777, 0, 0});
      run.put("a/d", Type::directory, {mode, kOwner.uid, kOwner.gid});
      const bool allowed = may(user, {kOwner.uid, kOwner.gid, mode, true}, W_OK);
      const std::string what = fmt::format("of a directory of mode {:03o} by {}", mode, asked.name);
      run.error("rename within " + what, run.as(asked, [&] { return rename_with(run.at("a/d"), run.at("a/e"), 0); }), 0);
      run.error("rename away " + what, run.as(asked, [&] { return rename_with(run.at("a/e"), run.at("b/e"), 0); }),
                allowed ? 0 : EACCES);
    }
  }
}

void without_replacing(Run& run) {
  for (const Type from : kTypes) {
    run.put("x", from);
    run.clear("y");
    run.error(fmt::format("RENAME_NOREPLACE of {} to a new name", name_of(from)),
              rename_with(run.at("x"), run.at("y"), RENAME_NOREPLACE), 0);
    for (const Type to : kTypes) {
      run.put("z", to);
      const auto there = run.look("z");
      const std::string what = fmt::format("RENAME_NOREPLACE of {} where {} is", name_of(from), name_of(to));
      run.error(what, rename_with(run.at("y"), run.at("z"), RENAME_NOREPLACE), EEXIST);
      run.is(what + ": it stays", run.look("z").st_ino == there.st_ino);
    }
  }
}

void exchanging(Run& run) {
  for (const Type one : kTypes) {
    for (const Type two : kTypes) {
      run.put("a", Type::directory, {0777, 0, 0});
      run.put("b", Type::directory, {0777, 0, 0});
      run.put("a/x", one);
      run.put("b/y", two);
      const auto x = run.look("a/x");
      const auto y = run.look("b/y");
      const std::string what = fmt::format("RENAME_EXCHANGE of {} and {}", name_of(one), name_of(two));
      run.error(what, rename_with(run.at("a/x"), run.at("b/y"), RENAME_EXCHANGE), 0);
      run.is(what + ": both are exchanged", run.look("a/x").st_ino == y.st_ino && run.look("b/y").st_ino == x.st_ino);
      run.same(what + ": links of the one directory", run.look("a").st_nlink, two == Type::directory ? 3U : 2U);
      run.same(what + ": links of the other directory", run.look("b").st_nlink, one == Type::directory ? 3U : 2U);
    }
  }
  run.put("f", Type::file);
  run.error("RENAME_EXCHANGE with nothing", rename_with(run.at("f"), run.at("nothing"), RENAME_EXCHANGE), ENOENT);
  run.error("RENAME_EXCHANGE and RENAME_NOREPLACE", rename_with(run.at("f"), run.at("b/y"), RENAME_EXCHANGE | RENAME_NOREPLACE),
            EINVAL);
  run.error("an unknown flag", rename_with(run.at("f"), run.at("b/y"), 1U << 20U), EINVAL);
  run.put("d", Type::directory);
  run.put("d/e", Type::directory);
  run.error("RENAME_EXCHANGE with the own parent", rename_with(run.at("d/e"), run.at("d"), RENAME_EXCHANGE), EINVAL);
}

// What is open stays what it was.
void under_open_files(Run& run) {
  run.put_content("x", "old", {0666, 0, 0});
  run.put_content("y", "new", {0666, 0, 0});
  const UniqueFd old(open(run.seen("x").c_str(), O_RDWR | O_CLOEXEC));
  const UniqueFd fresh(open(run.at("y").c_str(), O_RDWR | O_CLOEXEC));
  run.works("rename over an open file", rename(run.at("y").c_str(), run.at("x").c_str()));
  std::string text(3, ' ');
  run.same("bytes read of what was there", pread(old.get(), text.data(), 3, 0), 3);
  run.same("what was there", text, "old");
  run.same("bytes written to what was renamed", pwrite(fresh.get(), "N", 1, 0), 1);
  run.same("the name's content", run.content("x"), "New");
  const UniqueFd directory(open(run.at("").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  run.put("d", Type::directory);
  const UniqueFd inside(open(run.at("d").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  run.works("rename of an open directory", rename(run.at("d").c_str(), run.at("e").c_str()));
  run.works("mkdirat in it", mkdirat(inside.get(), "made", 0755));
  run.same("where it is made", run.look("e/made").st_mode & S_IFMT, static_cast<mode_t>(S_IFDIR));
}

}  // namespace

std::vector<Scenario> rename_scenarios() {
  return {{"RenameToANewName", to_a_new_name},
          {"RenameOverEverything", over_everything},
          {"RenameOverDirectories", over_directories},
          {"RenameIntoItself", into_itself},
          {"RenameOfDirectoriesWithoutWrite", of_directories_without_write},
          {"RenameWithoutReplacing", without_replacing},
          {"RenameExchanging", exchanging},
          {"RenameUnderOpenFiles", under_open_files}};
}

}  // namespace berth::posix

// chown and its kin: who may, and what becomes of suid and sgid bits.
#include <fcntl.h>
#include <unistd.h>

#include "broker/base/unique_fd.hpp"
#include "tests/posix/scenarios.hpp"

namespace berth::posix {
namespace {

constexpr auto kSame = static_cast<uid_t>(-1);

struct Target {
  uid_t uid;
  gid_t gid;
};
constexpr std::array<Target, 9> kTargets{{{kSame, kSame},
                                          {kOwner.uid, kOwner.gid},
                                          {kOwner.uid, kSame},
                                          {kSame, kOwner.gid},
                                          {kSame, 5000},
                                          {kSame, 6000},
                                          {kStranger.uid, kSame},
                                          {0, 0},
                                          {kStranger.uid, 5000}}};

std::string text_of(const Target& to) {
  return fmt::format("{}:{}", to.uid == kSame ? -1 : static_cast<int>(to.uid), to.gid == kSame ? -1 : static_cast<int>(to.gid));
}

// POSIX with _POSIX_CHOWN_RESTRICTED: only root gives files away; an owner may choose among the own groups.
bool may_change(const User& user, const Target& to) {
  if (user.uid == 0 || (to.uid == kSame && to.gid == kSame)) return true;
  if (user.uid != kOwner.uid) return false;
  return (to.uid == kSame || to.uid == user.uid) && (to.gid == kSame || to.gid == kOwner.gid || in_group(user, to.gid));
}

void by_everyone(Run& run) {
  for (const Type type : kTypes) {
    for (const User& asked : kUsers) {
      const User user = run.effective(asked);
      for (const Target& to : kTargets) {
        run.put("x", type, {0644, kOwner.uid, kOwner.gid});
        const auto before = run.look("x");
        run.let_time_pass();
        const std::string what = fmt::format("lchown {} of {} by {}", text_of(to), name_of(type), asked.name);
        const bool allowed = may_change(user, to);
        run.error(what, run.as(asked, [&] { return error_of(lchown(run.at("x").c_str(), to.uid, to.gid)); }),
                  allowed ? 0 : EPERM);
        const auto after = run.look("x");
        run.same(what + ": uid", after.st_uid, allowed && to.uid != kSame ? to.uid : kOwner.uid);
        run.same(what + ": gid", after.st_gid, allowed && to.gid != kSame ? to.gid : kOwner.gid);
        run.times(what, before, after, allowed ? "c" : "");
      }
    }
  }
}

void ways_to_ask(Run& run) {
  for (const Type type : {Type::file, Type::directory}) {
    const auto renew = [&] {
      run.put("x", type, {0644, 0, 0});
      run.put("l", Type::link, {}, "x");
    };
    const auto owned_as = [&](const char* name) {
      const auto found = run.look(name);
      return fmt::format("{}:{}", found.st_uid, found.st_gid);
    };
    const std::string of = std::string(" of ") + name_of(type);
    renew();
    run.works("chown" + of, chown(run.at("x").c_str(), 11, 22));
    run.same("chown: owner" + of, owned_as("x"), "11:22");
    renew();
    run.works("chown through a symlink" + of, chown(run.at("l").c_str(), 11, 22));
    run.same("chown through a symlink: owner" + of, owned_as("x"), "11:22");
    run.same("chown through a symlink: the symlink's" + of, owned_as("l"), "0:0");
    renew();
    run.works("lchown of a symlink" + of, lchown(run.at("l").c_str(), 11, 22));
    run.same("lchown of a symlink: owner" + of, owned_as("x"), "0:0");
    run.same("lchown of a symlink: the symlink's" + of, owned_as("l"), "11:22");
    renew();
    {
      const UniqueFd file(open(run.at("x").c_str(), O_RDONLY | O_CLOEXEC));
      run.works("fchown" + of, fchown(file.get(), 11, 22));
    }
    run.same("fchown: owner" + of, owned_as("x"), "11:22");
    run.works("fchownat to large ids" + of, fchownat(AT_FDCWD, run.at("x").c_str(), 0x7ffffffe, 0x7ffffffd, 0));
    run.same("fchownat to large ids: owner" + of, owned_as("x"), fmt::format("{}:{}", 0x7ffffffe, 0x7ffffffd));
    run.works("fchownat to the largest ids" + of, fchownat(AT_FDCWD, run.at("x").c_str(), 0xfffffffe, 0xfffffffd, 0));
    run.same("fchownat to the largest ids: owner" + of, owned_as("x"), fmt::format("{}:{}", 0xfffffffeU, 0xfffffffdU));
  }
}

// Linux: a change of owner of a file takes suid, and sgid where the group may execute (from root, too); directories keep.
void privileges_after(Run& run) {
  for (const Type type : {Type::file, Type::directory, Type::fifo}) {
    for (const User& asked : {kRoot, kOwner}) {
      const User user = run.effective(asked);
      for (const mode_t mode : {0755U, 04755U, 02755U, 06755U, 06777U, 02745U, 06644U, 07555U}) {
        for (const Target& to : {Target{kSame, kSame}, Target{kSame, 5000}, Target{kOwner.uid, kOwner.gid}}) {
          run.put("x", type, {mode, kOwner.uid, kOwner.gid});
          User allowed = user;
          allowed.groups = {5000, 0};
          const auto before = run.look("x");
          run.same("the scene's mode", before.st_mode & 07777U, mode);
          const int got = run.as(asked, [&] { return error_of(chown(run.at("x").c_str(), to.uid, to.gid)); });
          const std::string what =
              fmt::format("chown {} of {} of mode {:04o} by {}", text_of(to), name_of(type), mode, asked.name);
          run.error(what, got, may_change(user, to) ? 0 : EPERM);
          mode_t kept = mode;
          const bool in_its_group = user.uid == 0 || in_group(user, kOwner.gid);
          if (got == 0 && type != Type::directory) {
            kept &= ~static_cast<mode_t>(S_ISUID);
            if ((mode & S_IXGRP) != 0 || !in_its_group) kept &= ~static_cast<mode_t>(S_ISGID);
          }
          run.mode(what + ": mode", run.look("x").st_mode, kept);
        }
      }
    }
  }
}

}  // namespace

std::vector<Scenario> owner_scenarios() {
  return {{"ChownByEveryone", by_everyone}, {"WaysToChown", ways_to_ask}, {"PrivilegesAfterChown", privileges_after}};
}

}  // namespace berth::posix

#include "fuse/identity.hpp"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "broker/base/unique_fd.hpp"

namespace berth::fuse {
namespace {

// The raw calls: glibc's wrappers of setgroups would change every thread of the process.
bool set_fsuid(uid_t uid) {
  syscall(SYS_setfsuid, uid);
  return static_cast<uid_t>(syscall(SYS_setfsuid, static_cast<uid_t>(-1))) == uid;  // an invalid id only asks
}

bool set_fsgid(gid_t gid) {
  syscall(SYS_setfsgid, gid);
  return static_cast<gid_t>(syscall(SYS_setfsgid, static_cast<gid_t>(-1))) == gid;
}

bool set_groups(const std::vector<gid_t>& groups) { return syscall(SYS_setgroups, groups.size(), groups.data()) == 0; }

std::vector<gid_t> parse_groups(std::string_view status) {
  constexpr std::string_view kLine = "\nGroups:";
  std::vector<gid_t> groups;
  const auto start = status.find(kLine);
  if (start == std::string_view::npos) return groups;
  const char* at = status.data() + start + kLine.size();
  const char* end = status.data() + status.size();
  while (at < end && *at != '\n') {
    gid_t gid = 0;
    const auto [next, error] = std::from_chars(at, end, gid);
    if (error == std::errc{}) {
      groups.push_back(gid);
      at = next;
    } else {
      ++at;
    }
  }
  return groups;
}

// Empty where there is none.
std::string status_of(pid_t thread) {
  const UniqueFd file(open(fmt::format("/proc/{}/status", thread).c_str(), O_RDONLY | O_CLOEXEC));
  std::string text(8192, '\0');
  const ssize_t size = file ? read(file.get(), text.data(), text.size()) : 0;
  text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return text;
}

// A set as a number: bit n - 1 for signal n.
std::uint64_t signals_in(std::string_view status, std::string_view line) {
  const auto start = status.find(line);
  std::uint64_t set = 0;
  if (start == std::string_view::npos) return set;
  const auto digits = status.substr(std::min(status.find_first_not_of("\t ", start + line.size()), status.size()));
  std::from_chars(digits.data(), digits.data() + digits.size(), set, 16);
  return set;
}

}  // namespace

Identity effective_identity(const Caller& caller, const std::optional<PosixUser>& enforced, Rights rights) {
  Identity identity{caller.uid, caller.gid, {}, false};
  if (enforced) identity = Identity{enforced->uid, enforced->gid, enforced->secondary_gids, true};
  if (identity.uid != 0) return identity;
  if (!rights.root_access) return Identity{kNobody, kNobody, {}, true};
  identity.groups_known = true;  // root needs none
  return identity;
}

std::vector<gid_t> groups_of(pid_t pid) { return parse_groups(status_of(pid)); }

bool has_signal(pid_t thread) {
  const std::string status = status_of(thread);
  const std::uint64_t blocked = signals_in(status, "\nSigBlk:");
  return ((signals_in(status, "\nSigPnd:") | signals_in(status, "\nShdPnd:")) & ~blocked) != 0;
}

ScopedIdentity::ScopedIdentity(const Identity& identity) {
  static const uid_t own_uid = geteuid();
  static const gid_t own_gid = getegid();
  if (own_uid != 0) {  // without privileges only the own identity can be had
    ok_ = identity.uid == own_uid;
    return;
  }
  if (identity.uid == own_uid && identity.gid == own_gid && identity.groups.empty()) return;
  switched_ = true;
  if (!identity.groups.empty()) {
    groups_set_ = true;
    ok_ = set_groups(identity.groups);
  }
  // The user last: it takes the capability to change the file system group's checks away.
  ok_ = set_fsgid(identity.gid) && ok_;
  ok_ = set_fsuid(identity.uid) && ok_;
}

ScopedIdentity::~ScopedIdentity() {
  if (!switched_) return;
  set_fsuid(geteuid());
  set_fsgid(getegid());
  if (groups_set_) set_groups({});
}

void prepare_worker_thread() {
  if (unshare(CLONE_FS) == 0) umask(0);
  if (geteuid() == 0) set_groups({});
}

}  // namespace berth::fuse

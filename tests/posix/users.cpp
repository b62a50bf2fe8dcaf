#include "tests/posix/users.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

namespace berth::posix {

bool in_group(const User& user, gid_t group) {
  return user.gid == group || (group != 0 && std::ranges::find(user.groups, group) != user.groups.end());
}

bool may(const User& user, const Object& object, int wanted) {
  if (user.uid == 0) {
    return (wanted & X_OK) == 0 || object.directory || (object.mode & 0111) != 0;
  }
  mode_t bits = object.mode;
  if (user.uid == object.uid) {
    bits >>= 6U;
  } else if (in_group(user, object.gid)) {
    bits >>= 3U;
  }
  return (bits & static_cast<mode_t>(wanted)) == static_cast<mode_t>(wanted);
}

// Raw calls: glibc's would change every thread. Root first, for the right to change the rest.
void become(const User& user) {
  constexpr auto kSame = static_cast<uid_t>(-1);
  syscall(SYS_setresuid, kSame, 0, kSame);
  syscall(SYS_setresuid, 0, 0, 0);
  const auto count = std::ranges::count_if(user.groups, [](gid_t group) { return group != 0; });
  syscall(SYS_setgroups, count, user.groups.data());
  syscall(SYS_setresgid, user.gid, user.gid, 0);
  if (user.uid != 0) syscall(SYS_setresuid, user.uid, user.uid, 0);
}

}  // namespace berth::posix

// in_child() of served_share.hpp.
#pragma once

#include <grp.h>
#include <sys/wait.h>
#include <unistd.h>

namespace berth::fuse::test {

inline bool become(const As& as) {
  if (as.uid == 0 && as.gid == 0 && as.groups.empty()) return true;
  return setgroups(as.groups.size(), as.groups.data()) == 0 && setresgid(as.gid, as.gid, as.gid) == 0 &&
         setresuid(as.uid, as.uid, as.uid) == 0;
}

template <class Body>
int in_child(const As& as, Body&& body) {
  const pid_t child = fork();
  if (child == 0) _exit(become(as) ? body() : 255);
  int status = 0;
  if (waitpid(child, &status, 0) != child || !WIFEXITED(status)) return 254;
  return WEXITSTATUS(status);
}

}  // namespace berth::fuse::test

// What needs a mount namespace, and so root.
#include <gmock/gmock.h>
#include <sys/mount.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "tests/unit/keeper/keeper_process.hpp"

namespace berth::keeper {
namespace {

bool may_unshare_mounts() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(::unshare(CLONE_NEWNS) == 0 ? 0 : 1);
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::string mounts() {
  std::ostringstream text;
  text << std::ifstream("/proc/self/mountinfo").rdbuf();
  return text.str();
}

TEST(KeeperMounts, WhatADaemonMountsIsSeenByTheNextDaemonAndNotByTheHost) {
  if (!may_unshare_mounts() && std::getenv("BERTH_NO_SKIP") == nullptr) GTEST_SKIP() << "no right to make a mount namespace";
  std::string pattern = (std::filesystem::temp_directory_path() / "berth-mount-XXXXXX").string();
  const std::string folder = ::mkdtemp(pattern.data());
  const Pipe news, go;
  KeeperOptions options = patient();
  options.private_mounts = true;
  KeeperProcess keeper{[&](Survival& survival, ChildExits&) -> int {
                         if (survival.restarts() == 0) {
                           if (::mount("berth", folder.c_str(), "tmpfs", 0, nullptr) != 0) return 1;
                           ::kill(::getpid(), SIGKILL);
                         }
                         if (mounts().find(folder) == std::string::npos) return 2;
                         news.write('r');
                         go.read();
                         return 42;
                       },
                       options};
  EXPECT_EQ(news.read(), 'r');
  EXPECT_THAT(mounts(), testing::Not(testing::HasSubstr(folder)));
  go.write('x');
  EXPECT_EQ(keeper.wait(), 42);
  std::filesystem::remove(folder);
}

}  // namespace
}  // namespace berth::keeper

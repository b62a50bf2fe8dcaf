// KeptShare: a share whose daemon can be killed and comes back: the test plays the keeper, with a process that shares its
// descriptor table with the daemon (CLONE_FILES), and memory.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "broker/base/survival.hpp"
#include "broker/base/unique_fd.hpp"
#include "fuse/share.hpp"
#include "tests/kernel_share/served_share.hpp"

namespace berth::fuse::test {

class KeptShare {
 public:
  KeptShare(std::vector<Place> places, Share::Options options);
  ~KeptShare();
  KeptShare(const KeptShare&) = delete;
  KeptShare& operator=(const KeptShare&) = delete;

  // "mounted", or what went wrong.
  const std::string& first() const { return first_; }
  // Kills the daemon; what the next one says when it serves: "recovered <number of mounts>".
  std::string kill_daemon();

 private:
  std::string hear();
  [[noreturn]] void keep(int control);
  [[noreturn]] void serve(Survival& survival, int control);
  std::string start(Share& share, const Survival& survival);

  std::vector<Place> places_;
  Share::Options options_;
  UniqueFd control_;
  pid_t keeper_ = -1;
  std::string first_;
};

}  // namespace berth::fuse::test

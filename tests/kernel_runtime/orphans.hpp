// Orphans: reaps what is left of commands inside containers whose parent is gone, as the keeper does outside of tests.
//
// A container does not end before each process in it is reaped; one that nobody waits for holds it up for ever. The containers
// themselves are for those who watch them.
#pragma once

#include <thread>

#include "broker/base/unique_fd.hpp"

namespace berth::runtime::testing {

class Orphans {
 public:
  // Before the process has other threads: SIGCHLD is blocked in all of them from here on.
  void start();
  ~Orphans();

 private:
  void run() const;

  UniqueFd signals_;
  UniqueFd stop_;
  std::jthread thread_;
};

}  // namespace berth::runtime::testing

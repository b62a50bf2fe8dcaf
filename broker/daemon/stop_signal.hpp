// StopSignal: SIGTERM, SIGINT and SIGHUP as something to wait for.
//
// By handlers and an eventfd, not by a blocked mask: a mask would be inherited by every container, which could then not be
// stopped by SIGTERM. One at a time in a process.
#pragma once

#include "broker/base/unique_fd.hpp"

namespace berth::daemon {

class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  void wait();
  // As a signal does; from any thread.
  void raise();

 private:
  UniqueFd event_;
};

}  // namespace berth::daemon

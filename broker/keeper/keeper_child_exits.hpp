// KeeperChildExits: reads from the keeper how the processes that it reaps have ended. The keeper is the parent of every orphan
// below the daemon: of containers, which their OCI runtime leaves behind. A direct child of the daemon is the daemon's own to
// wait for, not to watch.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "broker/base/child_exits.hpp"
#include "broker/keeper/shared_table.hpp"

namespace berth::keeper {

class KeeperChildExits final : public ChildExits {
 public:
  // `ring` and `signal` (an eventfd that the keeper adds to after each record) outlive this.
  KeeperChildExits(const ExitRing& ring, int signal) : ring_(ring), signal_(signal) {}
  ~KeeperChildExits() override;
  void watch(pid_t pid, Callback callback) override;
  void start() override;

 private:
  struct Ended {
    Callback callback;
    int wait_status = 0;
    TimePoint at{};
  };
  void run();
  void wake() const;
  void wait_for_signal() const;
  // With the lock held:
  std::vector<Ended> collect();
  void absorb(const std::map<pid_t, bool>& fresh, std::vector<Ended>& ended);
  void check_new_watch(pid_t pid, bool gone, std::vector<Ended>& ended);

  const ExitRing& ring_;
  const int signal_;
  std::mutex mutex_;
  std::map<pid_t, Callback> watches_;
  std::vector<pid_t> new_watches_;              // not yet held against what ended before
  std::map<pid_t, std::uint64_t> last_record_;  // of each pid; may be overwritten by now
  std::uint64_t next_ = 0;                      // the first record not absorbed
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace berth::keeper

// Replicator: carries out the replications that the catalog holds, on threads of its own, until they are deleted.
//
// Each replication is a row of passes (fuse/replica/tree_sync.hpp): the first compares everything, the later ones take over what
// changed. Nothing else is kept: after a crash the pass that was cut off is made anew. Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "broker/base/error.hpp"
#include "broker/control/control_plane.hpp"
#include "fuse/catalog.hpp"
#include "fuse/replica/tree_sync.hpp"

namespace berth::services::efs {

class Replicator {
 public:
  // Makes one pass from a file system to another.
  using Copy =
      std::function<Result<fuse::replica::Report>(const fuse::FileSystemId& source, const fuse::FileSystemId& destination,
                                                  std::optional<TimePoint> since, fuse::replica::Progress& progress)>;
  struct Options {
    std::chrono::milliseconds period{30'000};  // between two passes, at least
    std::chrono::milliseconds period_max = std::chrono::minutes(15);
    unsigned threads = 2;  // replications that are copied at the same time
  };
  // `access_changed` is called without a lock when clients of a file system can't write any more, or can again. `plane` outlives
  // it.
  Replicator(control::ControlPlane& plane, Copy copy, std::function<void()> access_changed, const Options& options);
  // Breaks passes off; the next start goes on.
  ~Replicator();
  Replicator(const Replicator&) = delete;
  Replicator& operator=(const Replicator&) = delete;

  // Takes up all replications of the catalog. Once.
  void start();
  // The source's replication has been made, or is to be deleted: looks at it now.
  void changed(const fuse::FileSystemId& source);
  // A line for people: how far the pass that runs now is; "" while none does.
  std::string progress(const fuse::FileSystemId& source) const;

  struct Counts {
    std::string source, destination;
    std::optional<TimePoint> last_replicated;
    std::uint64_t files = 0, bytes = 0;  // copied since the daemon started
    std::uint64_t removed = 0;
  };
  std::vector<Counts> counts() const;

  // Does what is due for one replication now, on the caller's thread; for tests. False: there is no such replication any more.
  bool carry_out(const fuse::FileSystemId& source);

 private:
  using Clock = std::chrono::steady_clock;
  struct Entry {
    Clock::time_point due{};
    std::shared_ptr<fuse::replica::Progress> running;  // null: no pass does
    bool again = false;                                // changed() was called meanwhile
    std::uint64_t files = 0, bytes = 0, removed = 0;   // of passes that are over
  };

  void work();
  bool carry_out(const fuse::FileSystemId& source, fuse::replica::Progress& progress);
  void copy(const fuse::FileSystemId& source, const fuse::Replication& replication, fuse::replica::Progress& progress);
  void note(const fuse::FileSystemId& source, const fuse::Replication& replication, TimePoint began,
            const Result<fuse::replica::Report>& report);
  void end(const fuse::FileSystemId& source);
  std::optional<fuse::Replication> find(const fuse::FileSystemId& source) const;

  control::ControlPlane& plane_;
  const Copy copy_;
  const std::function<void()> access_changed_;
  const Options options_;

  mutable std::mutex mutex_;  // held for bookkeeping only; never while the control state is asked
  std::condition_variable wake_;
  std::map<fuse::FileSystemId, Entry> entries_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace berth::services::efs

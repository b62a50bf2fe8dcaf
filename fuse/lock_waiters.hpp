// LockWaiters: blocking lock requests of all mounts, waiting for a lock without holding a worker.
//
// Whoever lets a lock go calls wake(); a lock let go by a process on the backing directory itself is found by wake_all(),
// which the reactor calls now and then. Thread-safe; attempts and endings run under the lock and must not call back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>

#include "fuse/coherence.hpp"

namespace berth::fuse {

class LockWaiters {
 public:
  using Token = std::uint64_t;
  struct Waiter {
    InodeKey key;
    MountNumber mount = 0;
    std::function<bool()> attempt;     // true: it has replied
    std::function<void(int)> give_up;  // replies this errno
  };

  // Not tried before arm(), so that the caller can first tell libfuse how to interrupt it.
  Token add(Waiter waiter);
  void arm(Token token);
  // EINTR for the waiter; nothing where it has got its lock already.
  void interrupt(Token token);

  void wake(const InodeKey& key);
  void wake_all();
  // ENOTCONN for all waiters of a mount that ends.
  void drop_mount(MountNumber mount);
  bool empty() const;

 private:
  struct Entry {
    Token token;
    Waiter waiter;
    bool armed = false;
    bool interrupted = false;
  };

  mutable std::mutex mutex_;
  std::list<Entry> entries_;  // in order of arrival
  Token next_ = 1;
};

}  // namespace berth::fuse

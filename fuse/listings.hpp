// Listings: which directories' lists a mount's kernel may go on using when they are opened again.
//
// The kernel keeps the list that it has read last. It drops it itself after changes through its own mount, and where the
// directory's time of modification has changed; and at any opendir that does not allow it to be kept. It is allowed where no name
// has changed since the list was begun (Coherence's version), and while what was read along with it, the entries' attributes, is
// remembered too: without those each would be asked for singly. Thread-safe; forgets at will.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "fuse/brief_mutex.hpp"
#include "fuse/layout.hpp"

namespace berth::fuse {

class Listings {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  using Duration = std::chrono::duration<double>;

  void opened(Ino directory);
  void closed(Ino directory);
  // Before the first name is read for one that is open; `version`: of the directory's names.
  void begun(Ino directory, std::uint32_t version, TimePoint now);
  // Whether all of what may be in the kernel's list is of this version, and begun no longer ago than `longest`.
  bool current(Ino directory, std::uint32_t version, TimePoint now, Duration longest) const;

 private:
  struct Listing {
    unsigned opens = 0;
    bool known = false;
    // Begun at two versions, both by somebody who may still be reading: the list may have parts of either.
    bool mixed = false;
    std::uint32_t version = 0;
    TimePoint begun{};
  };
  static constexpr std::size_t kMost = 4096;

  mutable BriefMutex mutex_;
  std::unordered_map<Ino, Listing> listings_;
};

}  // namespace berth::fuse

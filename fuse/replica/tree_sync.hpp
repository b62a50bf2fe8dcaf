// sync_tree(): makes one directory tree the copy of another, which changes meanwhile. What a replication does again and again.
//
// A pass walks the source once and takes over data (holes stay holes), modes, owners, modification times, hard links, symbolic
// links and special files; removes what the source has not. A file that it replaces changes as a whole: it is made in `staging`
// and renamed into its place, so a reader of the destination, or one after a crash, sees the old file or the new one. A pass may
// be cut off at any instruction: the next one begins anew and does what is left.
//
// Not taken over: access times by themselves, change times, extended attributes (EFS has none), what other file systems are
// mounted on the source (a pass never leaves it, nor follows a link).
//
// Nothing else may change the destination meanwhile. Blocks; no threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "broker/base/clock.hpp"
#include "broker/base/error.hpp"

namespace berth::fuse::replica {

struct Sync {
  std::string source, destination;  // directories, absolute
  std::string staging;              // to be made on the destination's file system, outside of it; gone afterwards
  // When the last complete pass between the two began; nullopt: none has. Files that have not changed since are not read again:
  // told by their change time (which no program can set), their size and modification time. Without it all are compared.
  std::optional<TimePoint> since;
};

// May be read and stopped from other threads while a pass runs.
struct Progress {
  std::atomic<std::uint64_t> entries{0};  // looked at
  std::atomic<std::uint64_t> files{0};    // copied
  std::atomic<std::uint64_t> bytes{0};    // copied
  std::atomic<std::uint64_t> removed{0};
  std::atomic<bool> stop{false};
};

// What kept entries from being copied. None: what the source held when the pass began is in the destination, and on disk.
struct Report {
  std::uint64_t problems = 0;
  std::vector<std::string> first_problems;  // a few; "`a/b`: copy: input/output error"
  bool stopped = false;                     // Progress::stop was set: the pass is not complete
  bool complete() const { return problems == 0 && !stopped; }
};

// Fails where the pass can't be made or go on at all: a directory is missing, the disk is full, or the source is another
// directory than at the last pass (a file system that is not mounted, say), whose copy would remove everything.
Result<Report> sync_tree(const Sync& sync, Progress& progress);

}  // namespace berth::fuse::replica

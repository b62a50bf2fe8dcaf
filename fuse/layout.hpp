// What a mount keeps in memory that outlives the daemon (Survival): plain records, zero where unused, no pointers and no
// mutexes. Order of writes: a record's fields first, the field that says it is in use last; the next daemon may find any
// prefix. Descriptors are stored plus one, so that zeroes mean none.
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace berth::fuse {

using Ino = std::uint64_t;  // as the kernel names it: generation of the slot in the upper half, slot + 1 in the lower
inline constexpr Ino kRootIno = 1;
using Handle = std::uint64_t;  // of an open file: generation of the slot above, slot + 1 below; 0: none

struct InodeRecord {
  std::atomic<std::uint64_t> lookups;  // the kernel's references; 0: the slot is free
  std::uint32_t generation;            // of the slot: rises each time it is freed
  std::uint32_t type;                  // S_IFMT bits; never changes in an inode's life
  std::uint64_t device;
  std::uint64_t number;
  std::atomic<std::int32_t> held;  // O_PATH descriptor + 1, where a handle does not do
  std::int32_t handle_type;
  std::uint32_t handle_size;  // 0: no handle
  std::array<std::byte, 40> handle;
  std::int32_t backing_id;              // the kernel's name of the file for passthrough; 0: none
  std::uint32_t passthrough_opens;      // how many opens share it
  std::uint32_t plain_opens;            // how many go through the daemon: the kernel takes no mixture
  std::atomic<std::uint32_t> revision;  // how often the kernel was made to give the inode up; its generation in replies
  std::atomic<std::uint32_t> answered;  // when the kernel was last told of it by a name (Introductions); 0: never yet
};

// none: free, or not yet in use where it has a descriptor. closing: the descriptor is still the record's. closed: it is not
// kept any more, and its number may be another file's.
enum class OpenKind : std::uint32_t { none, file, directory, lock, closing, closed };

struct OpenRecord {
  // kGivenUp: it was in passthrough, until the kernel was made to give the inode up.
  static constexpr std::uint32_t kPassthrough = 1, kPlain = 2, kGivenUp = 3;

  std::atomic<OpenKind> kind;
  std::uint32_t generation;
  std::int32_t descriptor;    // + 1
  std::int32_t pid;           // of a lock's owner
  std::uint32_t passthrough;  // 0: neither yet, or kPassthrough, kPlain, kGivenUp
  std::uint32_t writable;
  std::uint32_t unflushed;  // the kernel does not announce its close(2)
  Ino ino;
  std::uint64_t lock_owner;
  std::uint64_t lock_file;  // handle of the open file through which the owner came to its locks
  std::uint64_t device;
  std::uint64_t number;
};

using NameText = std::array<char, 256>;

// What a name stood for: nothing where `number` is 0 and `known` 1.
struct KnownInode {
  std::uint64_t device;
  std::uint64_t number;
  std::uint32_t known;
};

// received: nothing has been done, or nothing that could not be done again. begun: the backing call may have been made or not;
// what is noted tells. done: it has been made; only the answer may be missing.
enum class Stage : std::uint32_t { received, begun, done };
enum class Change : std::uint32_t { none, make, remove, rename, exchange, resize, append };

// The request that a worker serves (Journal).
struct JournalRecord {
  // A reply to READDIRPLUS of the largest size has room for fewer names.
  static constexpr std::uint32_t kRetainedMax = 6656;

  std::atomic<std::uint64_t> unique;  // the kernel's name of it; 0: none
  std::uint32_t mount;
  std::uint32_t opcode;
  std::atomic<Stage> stage;
  Change change;
  Ino parent;  // of `name`; the file itself where there is no name
  Ino new_parent;
  KnownInode before;  // what `name` stood for when it was begun
  KnownInode new_before;
  std::int64_t size_before;  // of the file
  std::uint64_t size;        // wanted, or to be appended
  std::uint64_t result;      // of `done`: bytes
  std::uint64_t opened;      // the handle that it opened; 0: none
  std::uint32_t answering;   // the reply is being written: the kernel may have it
  std::uint32_t reads;       // the mount whose request is being read into the worker's buffer
  std::uint32_t forgotten;   // how many of a FORGET's inodes are
  std::uint32_t retained_count;
  NameText name;
  NameText new_name;
  std::array<Ino, kRetainedMax> retained;  // inodes of which it counted one more reference each
};

// A request that waits outside any worker: for a lock, or for its time (zones::Gates).
struct WaitingRecord {
  static constexpr std::uint64_t kBeingNoted = ~std::uint64_t{0};

  std::atomic<std::uint64_t> unique;  // 0: none; kBeingNoted: the rest is not yet whole
  std::uint32_t mount;
  std::uint32_t size;  // of the request; 0: it is too large to be kept
};

struct JournalMemory {
  // Behind the workers' come those for requests that are resent and that no worker had begun.
  std::array<JournalRecord, 32> records;
  std::array<WaitingRecord, 1024> waiting;                        // looked through for each that waits no more: small
  std::array<std::array<std::byte, 512>, 1024> waiting_requests;  // of each, as the kernel sent it
};

// An inode's count of references that is being changed, together with the counter of the request for which it is.
struct CountIntent {
  std::atomic<Ino> ino;  // 0: none
  std::uint64_t lookups_before;
  std::uint32_t record;  // of the journal, + 1; 0: none
  std::uint32_t forgotten_before;
  std::uint32_t retained_before;
};

struct MountHeader {
  static constexpr std::uint32_t kMagic = 0x42455239;  // "BER9"
  static constexpr unsigned kWorkersMax = 16;
  static constexpr std::size_t kGroupsMax = 64;

  std::atomic<std::uint32_t> magic;  // last: the rest is whole
  std::int32_t device;               // /dev/fuse + 1
  std::array<char, 64> id;
  std::uint32_t has_identity;
  std::uint32_t uid;
  std::uint32_t gid;
  std::uint32_t group_count;
  std::array<std::uint32_t, kGroupsMax> groups;
  std::atomic<std::uint32_t> rights;  // see encode_rights
  std::uint32_t passthrough;          // wanted when the mount was made: the connection remembers
  std::array<char, 32> file_system;
  std::array<char, 32> client_zone;
  std::array<char, 32> target_zone;
  std::uint32_t one_zone;
  std::uint32_t metered;
  std::uint32_t over_ring;  // it ends with its daemon
  std::atomic<std::uint32_t> init_size;
  std::array<std::byte, 256> init;              // the kernel's INIT, raw
  std::atomic<std::uint32_t> generation_floor;  // of its inodes: no slot had a larger one when its memory was given back
  CountIntent counting;                         // locked with the inode table
  std::uint32_t last_backing_id;                // ids rise: the next one may exist without being known
  std::uint64_t place_device;                   // st_dev of the mount that `place` is
  std::int32_t place;                           // the mount itself + 1, where the share holds it
};

// Two programs with the same can serve each other's mounts.
inline constexpr std::array<std::uint64_t, 5> kMemoryVersion{MountHeader::kMagic, sizeof(MountHeader), sizeof(InodeRecord),
                                                             sizeof(OpenRecord), sizeof(JournalMemory)};

}  // namespace berth::fuse

// Journal: what each worker is about to do and how far it has come, in memory that outlives the daemon, so that a request
// which the kernel sends again after a crash is carried out once.
//
// A request that changes something notes, before the backing call, what its names stand for (or how long its file is), and
// after it that it is done. While it does, it has the names (or the file) to itself among all mounts: a Turn. So the next
// daemon, before it serves anything, can tell by what is there whether the call was made: nobody else can have made it.
// A record is a few stores into memory of the worker's own. Records are one worker's.
#pragma once

#include <sys/stat.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "broker/base/survival.hpp"
#include "broker/base/unique_fd.hpp"
#include "fuse/answer.hpp"
#include "fuse/coherence.hpp"
#include "fuse/layout.hpp"
#include "fuse/share.hpp"
#include "fuse/turns.hpp"

namespace berth::fuse {

// The largest write that the kernel may send; a worker's buffer holds one with its headers.
inline constexpr std::size_t kWriteBytesMax = std::size_t{1} << 20U;

class Journal {
 public:
  explicit Journal(Survival& survival, FaultHook fault = nullptr) : survival_(survival), fault_(fault) {}
  // Takes up what a dead daemon left.
  Result<> open();

  // The request's record: of this worker, or for a resent one the record that it had before the crash (then `again`).
  struct Begun {
    JournalRecord& record;
    bool again;
  };
  Begun begin(unsigned worker, MountNumber mount, std::uint32_t opcode, std::uint64_t unique, bool resent);
  void end(JournalRecord& record);
  // For a record of the caller's own, of which no other daemon will hear.
  static void start(JournalRecord& record, MountNumber mount, std::uint32_t opcode, std::uint64_t unique);

  // A worker's buffer for requests: FORGET is never resent, so it is read into memory that outlives the daemon.
  // Make it resident before the first request is read into it.
  Result<std::span<std::byte>> buffer(unsigned worker);
  static std::string buffer_name(unsigned worker);
  // Call before a request of `mount` is read into a worker's buffer.
  void about_to_read(unsigned worker, MountNumber mount, std::span<std::byte> buffer);
  // For recovery: the same request in kRecovery's buffer, as if it had been read into it.
  std::span<std::byte> put(MountNumber mount, std::span<const std::byte> request, std::span<std::byte> buffer);

  // For recovery: until recovered(), records of the dead daemon are found by begin(). `worker` for begin() is kRecovery.
  static constexpr unsigned kRecovery = MountHeader::kWorkersMax;
  std::span<JournalRecord> records() { return memory_->records; }
  bool recovering() const { return recovering_; }
  // Null where the request had not been begun.
  JournalRecord* find(MountNumber mount, std::uint64_t unique);
  void recovered();
  void drop_mount(MountNumber mount);

  // A request that waits outside any worker. Noted so that the next daemon has it where the kernel can't resend.
  void waits(MountNumber mount, std::span<const std::byte> request);
  void waits_no_more(MountNumber mount, std::uint64_t unique);
  std::span<WaitingRecord> waiting() { return memory_->waiting; }
  // Empty where it was too large.
  std::span<const std::byte> request_of(const WaitingRecord& waiting) const {
    return std::span(memory_->waiting_requests[static_cast<std::size_t>(&waiting - memory_->waiting.data())]).first(waiting.size);
  }

  Turns& turns() { return turns_; }
  // A moment at which a test may let the daemon die, or the backing call fail.
  Answer<> at(Moment moment, const JournalRecord& record) const {
    if (fault_ == nullptr) [[likely]]
      return {};
    return fail_at(moment, record);
  }

  // The record of the request that this thread serves; null where it serves none.
  static JournalRecord* current();
  // That request itself, as it came. Empty where it was not noted.
  static std::span<const std::byte> current_request();
  static void serving(std::span<const std::byte> request);
  // For recovery: what this thread does next is done for that request.
  static void continue_with(JournalRecord* record);

 private:
  Answer<> fail_at(Moment moment, const JournalRecord& record) const;

  Survival& survival_;
  const FaultHook fault_;
  JournalMemory* memory_ = nullptr;
  bool recovering_ = false;
  Turns turns_;
};

// The result of a change of size of which recovery found that the file has its size; what was to come after is not known.
inline constexpr std::uint64_t kOnlyResized = 1;

// What a name stands for now.
KnownInode behind(int directory, const char* name);

// Intent: one request's record as the operations see it. Made by Mount::intent() for a request that changes something.
class Intent {
 public:
  Intent(Journal& journal, JournalRecord& record) : journal_(journal), record_(record) {}

  // True only for a resent request: a dead daemon carried it out. `made()` is then the inode that it made or opened (0: none),
  // counted for the kernel already; `opened()` the handle; `result()` the number of bytes.
  bool done() const { return record_.stage == Stage::done; }
  Ino made() const { return record_.retained_count == 1 ? record_.retained[0] : 0; }
  Handle opened() const { return record_.opened; }
  std::uint64_t result() const { return record_.result; }
  // What its names stood for.
  InodeKey before() const { return {record_.before.device, record_.before.number}; }
  InodeKey new_before() const { return {record_.new_before.device, record_.new_before.number}; }

  // By the note before the backing call: nothing to replace.
  bool new_name_was_free() const { return record_.new_before.known != 0 && record_.new_before.number == 0; }

  // Before the backing call: each takes the turn and notes what there is. What may be done twice notes nothing.
  Answer<> makes(const InodeKey& directory, Ino parent, int directory_fd, const char* name);
  // What is to lose its name; not there where there is nothing, or nothing that the caller may see.
  struct Victim {
    void find(int directory, const char* name, bool may_hold_files);

    bool there = false;
    UniqueFd fd;  // O_PATH; none where it may not be held
    struct stat attributes{};
  };
  // `victim`: as it is found in its turn.
  Answer<> removes(const InodeKey& directory, Ino parent, int directory_fd, const char* name, Victim& victim,
                   bool may_hold_files);
  struct Place {
    InodeKey key;
    Ino ino;
    int fd;
    const char* name;
  };
  Answer<> renames(const Place& from, const Place& to, bool exchange);
  Answer<> resizes(const InodeKey& file, Ino ino, int fd, off_t size);
  Answer<> appends(const InodeKey& file, Ino ino, int fd, std::size_t size);
  Answer<> changes(const InodeKey& file);

  // After it: notes the outcome and lets the turn go. Gives `outcome` back.
  template <class T>
  Answer<T> settle(Answer<T> outcome, std::uint64_t result = 0) {
    settle(outcome.has_value(), result);
    return outcome;
  }
  void settle(bool done, std::uint64_t result);

  // Of a resent append that was begun: where the file ended before it, and where in its data it goes on.
  bool was_begun() const { return record_.stage == Stage::begun; }
  std::int64_t size_before() const { return record_.size_before; }
  void goes_on_at(std::uint64_t written) { record_.result = written; }

 private:
  Answer<> begin(Change change);

  Journal& journal_;
  JournalRecord& record_;
  Turns::Held turn_;
};

}  // namespace berth::fuse

// OpenFiles: the open files, directories and lock owners of one mount. Their descriptors stay open, at the same numbers,
// when the daemon dies: unlinked files stay readable and locks stay held. Thread-safe.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "broker/base/survival.hpp"
#include "broker/base/unique_fd.hpp"
#include "fuse/answer.hpp"
#include "fuse/brief_mutex.hpp"
#include "fuse/layout.hpp"
#include "fuse/slot_table.hpp"

namespace berth::fuse {

class OpenFiles {
 public:
  OpenFiles(Survival& survival, const std::string& prefix) : survival_(survival), slots_(survival, prefix + "/opens") {}

  Result<> adopt(const std::set<std::string>& regions);
  void remove();

  // The handle is in the record of this thread's request before it is valid.
  Answer<Handle> add(OpenKind kind, UniqueFd fd, Ino ino, bool writable, const struct stat& attributes);
  Answer<Handle> add_lock_owner(UniqueFd fd, Ino ino, std::uint64_t owner, Handle file);
  // Null for what is not open as `kind`. Valid until closed, which the kernel asks for last.
  OpenRecord* find(Handle handle, OpenKind kind) const;
  void close(Handle handle);

  // The handle on which this owner's POSIX locks of the inode lie; 0 where it has none.
  Handle lock_handle(Ino ino, std::uint64_t lock_owner) const;
  // Whether anybody on this mount has POSIX locks of the inode.
  bool locked(Ino ino) const;
  // All that there are. Valid until they are closed.
  std::vector<const OpenRecord*> lock_owners() const;
  // The lock owners of the inode that came through this open file.
  std::vector<std::uint64_t> lock_owners_of(Ino ino, Handle file) const;
  bool open_for_writing(Ino ino) const;
  // Calls f(record) for every open file.
  template <class F>
  void each_file(F&& f) const {
    const std::scoped_lock lock(mutex_);
    for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) {
      if (OpenRecord& record = *slots_.at(slot); record.kind == OpenKind::file) f(record);
    }
  }
  // Whether the handle is open, as whatever.
  bool valid(Handle handle) const {
    return find(handle, OpenKind::file) != nullptr || find(handle, OpenKind::directory) != nullptr;
  }
  // The inode of each open file, as often as it is open, and whether for writing.
  std::vector<std::pair<Ino, bool>> files() const;
  std::vector<Handle> directories() const;
  // The files that are open in passthrough, or those of them that are open for writing.
  struct OpenFile {
    Handle handle = 0;
    Ino ino = 0;
  };
  std::vector<OpenFile> passed_through(bool for_writing_only) const;
  // Those of them that are still open are so no longer; under what guards OpenRecord::passthrough.
  void give_up(const std::vector<OpenFile>& files);

 private:
  Answer<OpenRecord*> fill(UniqueFd fd, Ino ino, const struct stat& attributes, Handle& handle);
  void recover(OpenRecord& record);

  Survival& survival_;
  mutable BriefMutex mutex_;
  SlotTable<OpenRecord> slots_;
  std::vector<std::uint32_t> free_;
  std::map<std::pair<Ino, std::uint64_t>, Handle> locks_;
};

inline int fd_of(const OpenRecord& open) { return open.descriptor - 1; }

}  // namespace berth::fuse

// What the requests did that a dead daemon could not answer.
#include "fuse/file_system.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>

namespace berth::fuse {
namespace {

bool same(const KnownInode& one, const KnownInode& other) {
  return one.number == other.number && one.device == other.device && one.number != 0;
}

bool nothing(const KnownInode& inode) { return inode.known != 0 && inode.number == 0; }

}  // namespace

InodeKey FileSystem::key_of(Ino ino) const {
  const InodeRecord* record = inodes_.record(ino);
  return record == nullptr ? InodeKey{} : InodeKey{record->device, record->number};
}

// Nobody but this request could change what its names stand for, from the note until its end (Turns).
bool FileSystem::was_carried_out(const JournalRecord& record) {
  const auto reach = inodes_.reach(record.parent);
  if (!reach) return false;
  if (record.change == Change::resize) {
    struct stat now{};
    return fstatat(reach->fd(), "", &now, AT_EMPTY_PATH) == 0 && was_resized(record, now);
  }
  const KnownInode now = behind(reach->fd(), record.name.data());
  switch (record.change) {
    case Change::make: return nothing(record.before) && now.number != 0;
    case Change::remove: return record.before.number != 0 && now.known != 0 && !same(now, record.before);
    case Change::rename:
    case Change::exchange: return was_renamed(record, now);
    default: return false;
  }
}

// Two names of one inode: nothing happens, however often.
bool FileSystem::was_renamed(const JournalRecord& record, const KnownInode& now) {
  if (same(record.before, record.new_before)) return false;
  const auto to = inodes_.reach(record.new_parent);
  if (!to || !same(behind(to->fd(), record.new_name.data()), record.before)) return false;
  return record.change == Change::exchange ? same(now, record.new_before) : !same(now, record.before);
}

// Programs may go on writing through passthrough while there is no daemon: they make a file longer, never shorter.
bool FileSystem::was_resized(const JournalRecord& record, const struct stat& now) {
  const auto wanted = static_cast<std::int64_t>(record.size);
  return wanted < record.size_before ? now.st_size < record.size_before : now.st_size >= wanted;
}

// A call to another machine's file system that was killed in the middle has been made, perhaps, while this kernel still answers
// from what it knew before.
void FileSystem::ask_anew(Ino ino) {
  struct statx unused{};
  const auto inode = inodes_.reach(ino);
  if (inode) static_cast<void>(::statx(inode->fd(), "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &unused));
}

void FileSystem::resolve(JournalRecord& record) {
  for (const Ino ino : {record.parent, record.new_parent}) {
    if (ino != 0) ask_anew(ino);
  }
  if (record.stage == Stage::begun && record.change != Change::append) {
    record.result = record.change == Change::resize ? kOnlyResized : 0;
    record.stage = was_carried_out(record) ? Stage::done : Stage::received;
  }
  if (record.stage != Stage::done || record.change != Change::make || record.retained_count != 0) return;
  // Before another request can take the name away.
  if (const auto directory = inodes_.reach(record.parent)) {
    Journal::continue_with(&record);
    const auto made = enter(directory->fd(), record.name.data());
    // An NFS server keeps the verifier of an exclusive create in the file's times, until the client sets them (RFC
    // 8881, 18.16.3).
    if (made && S_ISREG(made->attributes.st_mode) && !inodes_.may_hold(S_IFREG)) {
      constexpr std::array<timespec, 2> kNow{timespec{0, UTIME_NOW}, timespec{0, UTIME_NOW}};
      static_cast<void>(utimensat(directory->fd(), record.name.data(), kNow.data(), AT_SYMLINK_NOFOLLOW));
    }
    Journal::continue_with(nullptr);
  }
}

// The dead daemon may have opened it and told nobody.
void FileSystem::tell_of_open(Ino ino) {
  if (Node* node = inodes_.node(ino)) coherence_.attributes_changed(*node, inodes_.mount());
}

std::vector<InodeKey> FileSystem::changed_by(const JournalRecord& record) const {
  return {{record.before.device, record.before.number},
          {record.new_before.device, record.new_before.number},
          key_of(record.parent),
          key_of(record.new_parent),
          opened_key(record.opened)};
}

Answer<Entry> FileSystem::made_before(const Intent& intent) {
  const Ino ino = intent.made();
  if (ino == 0) return refuse(ENOENT);  // another client has taken it away since
  const auto found = attributes(ino, intent.opened());
  if (!found) return refuse(found.error());
  return Entry{.ino = ino, .attributes = found->values};
}

}  // namespace berth::fuse

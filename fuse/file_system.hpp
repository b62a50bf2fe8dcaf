// FileSystem: what each file operation means on one mount. It has never heard of libfuse.
//
// Names are single components below a directory that the kernel knows by nodeid: no path is ever walked, so nothing leaves
// the mount's root. Every operation runs as the identity that the Grant gives the caller, checked by the backing file
// system. Thread-safe; calls block on the disk only. Operations that change something are EROFS without the right to write.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "broker/base/unique_fd.hpp"
#include "fuse/answer.hpp"
#include "fuse/coherence.hpp"
#include "fuse/grant.hpp"
#include "fuse/inode_table.hpp"
#include "fuse/journal.hpp"
#include "fuse/kernel_cache.hpp"
#include "fuse/layout.hpp"
#include "fuse/listing_pages.hpp"
#include "fuse/listings.hpp"
#include "fuse/lock_table.hpp"
#include "fuse/open_files.hpp"

namespace berth::fuse {

// EFS's own limits (Amazon EFS quotas, "Limits for NFS clients").
inline constexpr std::size_t kNameBytesMax = 255;
inline constexpr std::size_t kSymlinkBytesMax = 4080;
inline constexpr nlink_t kLinksMax = 177;
inline constexpr off_t kFileBytesMax = 52'673'613'135'872;

// `attributes_trust`, `name_trust`: how long the mount's kernel may remember them.
struct Entry {
  Ino ino = 0;  // 0: there is no such name, and that may be remembered
  struct stat attributes{};
  Trust attributes_trust = Trust::none;
  Trust name_trust = Trust::none;
};

struct Attributes {
  struct stat values{};
  Trust trust = Trust::none;
};

struct ExtendedAttributes {
  struct statx values{};
  Trust trust = Trust::none;
};

struct Changes {
  std::optional<mode_t> mode;
  std::optional<uid_t> uid;
  std::optional<gid_t> gid;
  std::optional<off_t> size;
  std::optional<timespec> access_time;  // tv_nsec may be UTIME_NOW
  std::optional<timespec> modification_time;
  bool none() const { return !mode && !uid && !gid && !size && !access_time && !modification_time; }
};

struct Created {
  Entry entry;
  Handle handle = 0;
};

class FileSystem {
 public:
  // `cache`: of the mount's own kernel.
  FileSystem(const Grant& grant, InodeTable& inodes, OpenFiles& opens, Coherence& coherence, KernelCache& cache, LockTable& locks,
             Journal& journal);

  Answer<Entry> lookup(const Caller& caller, Ino parent, const char* name);
  void forget(Ino ino, std::uint64_t lookups) { inodes_.forget(ino, lookups); }
  // The last reference counted for this thread's request won't reach the kernel.
  void unretain(Ino ino) { inodes_.unretain(ino); }
  Answer<Attributes> attributes(Ino ino, Handle handle = 0);
  Answer<Attributes> change(const Caller& caller, Ino ino, const Changes& changes, Handle handle, Intent& intent);
  Answer<ExtendedAttributes> extended_attributes(Ino ino, Handle handle, unsigned mask);
  Answer<std::string> read_link(Ino ino);
  Answer<> access(const Caller& caller, Ino ino, int mask);
  Answer<struct statvfs> statistics(Ino ino);

  Answer<Entry> make_node(const Caller& caller, Ino parent, const char* name, mode_t mode, dev_t device, Intent& intent);
  Answer<Entry> make_directory(const Caller& caller, Ino parent, const char* name, mode_t mode, Intent& intent);
  Answer<Entry> make_symlink(const Caller& caller, const char* target, Ino parent, const char* name, Intent& intent);
  Answer<Entry> link(const Caller& caller, Ino ino, Ino parent, const char* name, Intent& intent);
  Answer<> unlink(const Caller& caller, Ino parent, const char* name, Intent& intent);
  Answer<> remove_directory(const Caller& caller, Ino parent, const char* name, Intent& intent);
  Answer<> rename(const Caller& caller, Ino parent, const char* name, Ino new_parent, const char* new_name, unsigned flags,
                  Intent& intent);

  Answer<Handle> open(const Caller& caller, Ino ino, int flags, Intent& intent);
  Answer<Created> create(const Caller& caller, Ino parent, const char* name, mode_t mode, int flags, Intent& intent);
  Answer<Created> make_nameless(const Caller& caller, Ino parent, mode_t mode, int flags, Intent& intent);
  void close(Handle handle);
  // After a restart: what is open for writing, which lists are being taken in, and what is locked.
  void resume();
  Answer<> sync(Handle handle, OpenKind kind, bool data_only);
  Answer<> allocate(Ino ino, Handle handle, int mode, off_t offset, off_t length, Intent& intent);
  Answer<off_t> seek(Handle handle, off_t offset, int whence);
  Answer<std::size_t> copy_range(Handle in, off_t in_offset, Ino to_ino, Handle out, off_t out_offset, std::size_t length,
                                 Intent& intent);
  // After a write: other mounts' pages of it go.
  void data_changed(Ino ino, off_t offset, off_t length);

  // ioctl(2) on an open file or directory: what it gives back. ENOTTY for all but a file's flags and version.
  Answer<std::string> control(const Caller& caller, Handle handle, unsigned command, std::string_view input);

  Answer<Handle> open_directory(const Caller& caller, Ino ino, Intent& intent);
  // Calls `entry` for each name from `offset` on until it answers false (the name is asked for again).
  struct Name {
    const char* name;
    std::uint64_t number;
    mode_t type;  // S_IFMT bits
    off_t next;
  };
  Answer<> read_directory(Handle handle, off_t offset, const std::function<bool(const Name&)>& entry);
  // Before the names of a list are looked up for the kernel, which enters them when it has got them; and when it has done so, or
  // has got none.
  void list_page(Handle handle);
  void list_taken_in(Handle handle);

  // What the kernel may do with the list of a directory that is opened, entries remembered for so long: keep it for the next
  // time, and use the one it has.
  struct ListingUse {
    bool keep = false;
    bool current = false;
  };
  ListingUse listing_use(Handle handle, Listings::Duration remembered);

  // The descriptor of an open file; `write` asks for the right too. Valid until close(handle).
  Answer<int> descriptor(Handle handle, bool write);

  // POSIX locks: each owner has a descriptor of its own on the inode, so that they conflict between mounts and not within
  // one owner. `lock.l_pid` is the caller's process. Both never wait: EAGAIN.
  Answer<> set_lock(Ino ino, std::uint64_t owner, Handle file, struct flock lock);
  Answer<struct flock> get_lock(Ino ino, std::uint64_t owner, struct flock lock);
  // Both are true where there were locks. A file that closes for good takes the locks of its open file description along
  // (F_OFD_SETLK), of which the kernel says nothing: its owners of POSIX locks have let go before.
  bool drop_locks(Ino ino, std::uint64_t owner);
  bool drop_locks_of(Handle file);
  // Before a blocking request waits: EDEADLK where it would for ever.
  Answer<LockTable::Wait> begin_waiting(Ino ino, std::uint64_t owner, const struct flock& lock);
  // flock(2) on the open file; never waits.
  Answer<> set_flock(Handle handle, int operation);

  // After a crash, before anything is served: finds out whether the request was carried out. As the daemon itself.
  void resolve(JournalRecord& record);
  // The inodes whose attributes it changed, or was about to change; some may be none.
  std::vector<InodeKey> changed_by(const JournalRecord& record) const;
  InodeKey key_of(Ino ino) const;

  // Null for what is not an open file.
  OpenRecord* opened(Handle handle) const { return opens_.find(handle, OpenKind::file); }
  InodeTable& inodes() { return inodes_; }
  const Grant& grant() const { return grant_; }

 private:
  Answer<> may_write() const;
  bool times_are_fine(int directory, dev_t device);
  InodeKey opened_key(Handle handle) const;
  bool was_carried_out(const JournalRecord& record);
  bool was_renamed(const JournalRecord& record, const KnownInode& now);
  static bool was_resized(const JournalRecord& record, const struct stat& now);
  void ask_anew(Ino ino);
  void tell_of_open(Ino ino);
  Answer<Entry> made_before(const Intent& intent);
  Answer<Created> created_before(const Intent& intent, int flags);
  Answer<Entry> enter(int directory, const char* name);
  Answer<Entry> enter_opened(UniqueFd fd);
  Answer<Entry> enter_by_descriptor(int directory, const char* name);
  Answer<Created> enter_created(UniqueFd file, int flags);
  bool names_cacheable(int directory) const;
  Trust trust_attributes(Ino ino, const struct stat& attributes);
  void watch(Entry& entry, const Node& parent);
  void judge(Entry& entry, Node& parent, int directory, std::uint32_t seen);
  template <class Make, class Enter>
  Answer<Entry> make(const Caller& caller, const Identity& identity, Ino parent, const char* name, Intent& intent, Make&& make_it,
                     Enter&& enter_it);
  template <class Make>
  Answer<Entry> make(const Caller& caller, const Identity& identity, Ino parent, const char* name, Intent& intent,
                     Make&& make_it);
  void will_know(Node& directory, const char* name);
  static Answer<struct stat> what_is_left(const Intent::Victim& victim);
  void lost_name(UniqueFd victim, const struct stat& left);
  void was_moved(const InodeKey& moved, bool away);
  Answer<> remove_name(const Caller& caller, Ino parent, const char* name, int flags, Intent& intent);
  Answer<Handle> add_file(UniqueFd file, Ino ino, int flags);
  Answer<Handle> add_file(UniqueFd file, Ino ino, int flags, const struct stat& attributes);
  void note_open(Ino ino, int flags, const struct stat& attributes);
  Answer<UniqueFd> reopen(const Caller& caller, int path_fd, int flags);
  Answer<> apply(const Caller& caller, Ino ino, int fd, const InodeRecord& record, const Changes& changes, int open_fd,
                 bool resized);
  Answer<> touch(const Caller& caller, Ino ino, int fd);
  Identity grouped_identity(const Caller& caller) const;
  Identity creating_identity(const Caller& caller, mode_t mode) const;
  Identity changing_identity(const Caller& caller, int fd) const;
  void strip_for_root(const Caller& caller, Ino ino, int fd);
  Answer<> check_depth_of(Node& node, int directory);
  Answer<> strip_mode(const Caller& caller, Ino ino, int fd, mode_t wanted);
  Answer<> change_size(int fd, int open_fd, off_t size);
  Answer<> change_mode(const Caller& caller, Ino ino, int fd, mode_t wanted);
  void spare_flush(Handle handle);
  Answer<UniqueFd> open_for_locks(Ino ino);
  void unlock(LockTable::Access& access, Ino ino, const LockTable::Holder& holder);
  Answer<Handle> lock_handle(Ino ino, std::uint64_t owner, Handle of_file);

  const Grant& grant_;
  InodeTable& inodes_;
  OpenFiles& opens_;
  Coherence& coherence_;
  KernelCache& cache_;
  LockTable& locks_;
  Journal& journal_;
  Listings listings_;
  ListingPages pages_;
  // Of the device that was asked about last: whether each of a directory's changes has a time of its own.
  std::atomic<dev_t> times_device_ = 0;
  std::atomic<bool> times_fine_ = false;
  UniqueFd descriptors_;  // /proc/self/fd: the way from an O_PATH descriptor to calls that want a path
};

}  // namespace berth::fuse

// Open files and directories.
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "fuse/access_time.hpp"
#include "fuse/backing_kind.hpp"
#include "fuse/file_system.hpp"
#include "fuse/standby.hpp"

namespace berth::fuse {
namespace {

constexpr int kOpenForExecution = 0x20;  // __FMODE_EXEC, which the kernel passes on

bool writes(int flags) { return (flags & O_ACCMODE) != O_RDONLY; }
bool asks_to_write(int flags) { return writes(flags) || (flags & O_TRUNC) != 0; }

// What a backing descriptor keeps of the caller's flags. O_NONBLOCK: a FIFO in a file's place must not block a worker. Not
// O_DIRECT: in passthrough the kernel opens its own with it, and the daemon's buffers are not aligned.
int backing_flags(int flags) {
  return (flags & (O_ACCMODE | O_APPEND | O_TRUNC | O_DSYNC | O_SYNC | O_NOATIME)) | O_NONBLOCK | O_CLOEXEC;
}

mode_t type_of(unsigned char entry_type) { return static_cast<mode_t>(entry_type) << 12U; }  // DTTOIF

struct DirectoryEntry {  // linux_dirent64, as getdents64(2) gives it
  std::uint64_t number;
  std::int64_t next;
  std::uint16_t size;
  unsigned char type;
};
constexpr std::size_t kEntryNameOffset = 19;

}  // namespace

Answer<UniqueFd> FileSystem::reopen(const Caller& caller, int path_fd, int flags) {
  std::array<char, 16> name{};
  *fmt::format_to_n(name.begin(), name.size() - 1, "{}", path_fd).out = '\0';
  const auto open_it = [&]() -> Answer<UniqueFd> {
    UniqueFd file(openat(descriptors_.get(), name.data(), backing_flags(flags)));
    // Only the owner may ask not to touch the access time; the kernel has checked it for its own caller.
    if (!file && errno == EPERM && (flags & O_NOATIME) != 0) {
      file.reset(openat(descriptors_.get(), name.data(), backing_flags(flags & ~O_NOATIME)));
    }
    if (!file) return refuse_last();
    return file;
  };
  const Identity identity = (flags & O_TRUNC) != 0 ? changing_identity(caller, path_fd) : grant_.identity_of(caller);
  if ((flags & kOpenForExecution) == 0) return run_as(identity, caller.pid, open_it);
  const auto may_execute = run_as(identity, caller.pid, [&]() -> Answer<> {
    if (syscall(SYS_faccessat2, path_fd, "", X_OK, AT_EMPTY_PATH | AT_EACCESS) != 0) return refuse_last();
    return {};
  });
  if (!may_execute) return refuse(may_execute.error());
  auto file = run_as(identity, caller.pid, open_it);
  // As the daemon: execve(2) reads for its caller, who need not be allowed to (an NFS server grants the same, RFC 1813, 4.4).
  if (!file && file.error() == Errno{EACCES}) file = open_it();
  return file;
}

Answer<Handle> FileSystem::open(const Caller& caller, Ino ino, int flags, Intent& intent) {
  if (intent.opened() != 0) return tell_of_open(ino), intent.opened();
  if (asks_to_write(flags)) {
    if (auto allowed = may_write(); !allowed) return refuse(allowed.error());
  }
  const InodeRecord* record = inodes_.record(ino);
  if (record == nullptr) return refuse(ESTALE);
  if (record->type != S_IFREG) return refuse(record->type == S_IFDIR ? EISDIR : ENXIO);
  const auto inode = inodes_.reach(ino);
  if (!inode) return refuse(inode.error());
  const bool cuts = (flags & O_TRUNC) != 0 && !intent.done();
  if (cuts) {
    if (auto begun = intent.resizes(key_of(ino), ino, inode->fd(), 0); !begun) return refuse(begun.error());
  }
  auto file = reopen(caller, inode->fd(), cuts ? flags : flags & ~O_TRUNC);
  if (cuts) intent.settle(file.has_value(), 0);
  if (!file) return refuse(file.error());
  if (writes(flags)) strip_for_root(caller, ino, file->get());
  auto handle = add_file(std::move(*file), ino, flags);
  if (handle && !writes(flags)) spare_flush(*handle);
  return handle;
}

Answer<Handle> FileSystem::add_file(UniqueFd file, Ino ino, int flags) {
  struct stat attributes{};
  if (fstat(file.get(), &attributes) != 0) return refuse_last();
  return add_file(std::move(file), ino, flags, attributes);
}

Answer<Handle> FileSystem::add_file(UniqueFd file, Ino ino, int flags, const struct stat& attributes) {
  inodes_.opened(file.get());
  auto handle = opens_.add(OpenKind::file, std::move(file), ino, writes(flags), attributes);
  if (handle) note_open(ino, flags, attributes);
  return handle;
}

// Without the kernel's word of each close(2), which is a round trip. POSIX locks that come through such a file end when it is
// closed for good; so only files of a kind that hardly ever sees one are spared.
void FileSystem::spare_flush(Handle handle) {
  OpenRecord* open = opens_.find(handle, OpenKind::file);
  if (open != nullptr && !opens_.locked(open->ino)) open->unflushed = 1;
}

void FileSystem::note_open(Ino ino, int flags, const struct stat& attributes) {
  Node* node = inodes_.node(ino);
  if (node == nullptr) return;
  const bool changes = writes(flags) || (flags & O_TRUNC) != 0 || reading_changes(attributes);
  coherence_.opened(*node, inodes_.mount(), ino, writes(flags), changes);
}

void FileSystem::resume() {
  for (const auto& [ino, writable] : opens_.files()) {
    Node* node = inodes_.node(ino);
    if (node == nullptr) continue;
    // Others were told by the dead daemon. Whoever is asking for the attributes meanwhile would get them, but his kernel, told
    // once more, would not take the size from them.
    coherence_.opened(*node, inodes_.mount(), ino, writable, false);
    if (writable) node->set_unheard(true);  // it may have been
  }
  for (const Handle directory : opens_.directories()) list_page(directory);  // of whose list the kernel may have got a part
  for (const OpenRecord* open : opens_.lock_owners()) {
    LockTable::Access access(locks_, {open->device, open->number});
    for (const struct flock& lock : locks_on(fd_of(*open))) {
      access.set({inodes_.mount(), open->lock_owner, open->pid}, open->lock_file, lock);
    }
  }
}

void FileSystem::close(Handle handle) {
  if (const OpenRecord* directory = opens_.find(handle, OpenKind::directory)) {
    list_taken_in(handle);
    listings_.closed(directory->ino);
  }
  if (const OpenRecord* open = opens_.find(handle, OpenKind::file)) {
    Node* node = inodes_.node(open->ino);
    const bool unheard = node != nullptr && coherence_.closed(*node, inodes_.mount(), open->ino, open->writable != 0);
    if (unheard) inodes_.heed(*node, fd_of(*open));
  }
  opens_.close(handle);
}

Answer<Created> FileSystem::create(const Caller& caller, Ino parent, const char* name, mode_t mode, int flags, Intent& intent) {
  const std::string_view text{name};
  if (text.size() > kNameBytesMax) return refuse(ENAMETOOLONG);
  if (text.empty() || text == "." || text == ".." || text.find('/') != std::string_view::npos) return refuse(EINVAL);
  Node* node = inodes_.node(parent);
  if (node == nullptr) return refuse(ESTALE);
  if (intent.done() || intent.opened() != 0) {
    coherence_.name_changed(*node, name, inodes_.mount());
    return created_before(intent, flags);
  }
  const auto directory = inodes_.reach(parent);
  if (!directory) return refuse(directory.error());
  if (!grant_.rights().write) {  // what exists may still be opened for reading
    auto existing = lookup(caller, parent, name);
    if (!existing) return refuse(existing.error() == Errno{ENOENT} ? EROFS : number(existing.error()));
    if (existing->ino == 0) return refuse(EROFS);
    auto handle = (flags & O_EXCL) != 0 ? Answer<Handle>(refuse(EEXIST)) : open(caller, existing->ino, flags, intent);
    if (!handle) return inodes_.unretain(existing->ino), refuse(handle.error());
    return Created{*existing, *handle};
  }
  will_know(*node, name);
  const std::uint32_t before = node->names_version();
  auto file = run_as(creating_identity(caller, mode), caller.pid, [&]() -> Answer<UniqueFd> {
    if (auto begun = intent.makes(key_of(parent), parent, directory->fd(), name); !begun) return refuse(begun.error());
    UniqueFd made(openat(directory->fd(), name, backing_flags(flags) | O_CREAT | O_NOFOLLOW | (flags & O_EXCL), mode));
    auto outcome = made ? Answer<UniqueFd>(std::move(made)) : Answer<UniqueFd>(refuse_last());
    intent.settle(outcome.has_value(), 0);
    return outcome;
  });
  if (!file) return refuse(file.error());
  coherence_.name_changed(*node, name, std::nullopt, before, inodes_.mount());
  const std::uint32_t seen = node->names_version();
  auto created = enter_created(std::move(*file), flags);
  if (!created) return created;
  judge(created->entry, *node, directory->fd(), seen);
  if ((flags & O_EXCL) != 0 || (flags & O_ACCMODE) == O_WRONLY) spare_flush(created->handle);
  return created;
}

Answer<Created> FileSystem::enter_created(UniqueFd file, int flags) {
  Entry entry;
  if (fstat(file.get(), &entry.attributes) != 0) return refuse_last();
  const mode_t mode = entry.attributes.st_mode;
  if (!S_ISREG(mode)) return refuse(S_ISDIR(mode) ? EISDIR : ENXIO);
  auto ino = inodes_.retain_open(file.get(), entry.attributes);
  if (!ino) return refuse(ino.error());
  entry.ino = *ino;
  auto handle = add_file(std::move(file), entry.ino, flags, entry.attributes);
  if (!handle) return inodes_.unretain(entry.ino), refuse(handle.error());
  return Created{entry, *handle};
}

Answer<Created> FileSystem::make_nameless(const Caller& caller, Ino parent, mode_t mode, int flags, Intent& intent) {
  if (intent.opened() != 0) return created_before(intent, flags);
  if (auto allowed = may_write(); !allowed) return refuse(allowed.error());
  const auto directory = inodes_.reach(parent);
  if (!directory) return refuse(directory.error());
  auto file = run_as(creating_identity(caller, mode), caller.pid, [&]() -> Answer<UniqueFd> {
    UniqueFd made(openat(directory->fd(), ".", backing_flags(flags) | O_TMPFILE | (flags & O_EXCL), mode));
    if (!made) return refuse_last();
    return made;
  });
  if (!file) return refuse(file.error());
  auto created = enter_created(std::move(*file), flags);
  if (created) created->entry.attributes_trust = Trust::brief;  // nobody else can know it
  return created;
}

Answer<int> FileSystem::descriptor(Handle handle, bool write) {
  const OpenRecord* open = opens_.find(handle, OpenKind::file);
  if (open == nullptr) return refuse(EBADF);
  if (write) {
    if (auto allowed = may_write(); !allowed) return refuse(allowed.error());
  }
  return fd_of(*open);
}

InodeKey FileSystem::opened_key(Handle handle) const {
  const OpenRecord* open = opens_.find(handle, OpenKind::file);
  return open == nullptr ? InodeKey{} : InodeKey{open->device, open->number};
}

Answer<> FileSystem::sync(Handle handle, OpenKind kind, bool data_only) {
  const OpenRecord* open = opens_.find(handle, kind);
  if (open == nullptr) return refuse(EBADF);
  Standby::about_to_wait();
  return answer(data_only ? fdatasync(fd_of(*open)) : fsync(fd_of(*open)));
}

void FileSystem::data_changed(Ino ino, off_t offset, off_t length) {
  if (const Node* node = inodes_.node(ino)) coherence_.data_changed(*node, inodes_.mount(), offset, length);
}

Answer<> FileSystem::allocate(Ino ino, Handle handle, int mode, off_t offset, off_t length, Intent& intent) {
  if (intent.done()) return data_changed(ino, offset, 0), Answer<>{};
  const auto fd = descriptor(handle, true);
  if (!fd) return refuse(fd.error());
  if ((mode & (FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE)) == 0 && offset > kFileBytesMax - length) return refuse(EFBIG);
  if (auto begun = intent.changes(opened_key(handle)); !begun) return begun;
  Standby::about_to_wait();
  auto done = intent.settle(answer(fallocate(*fd, mode, offset, length)));
  data_changed(ino, offset, 0);
  return done;
}

Answer<off_t> FileSystem::seek(Handle handle, off_t offset, int whence) {
  const auto fd = descriptor(handle, false);
  if (!fd) return refuse(fd.error());
  const off_t found = lseek(*fd, offset, whence);
  if (found < 0) return refuse_last();
  return found;
}

Answer<std::size_t> FileSystem::copy_range(Handle in, off_t in_offset, Ino to_ino, Handle out, off_t out_offset,
                                           std::size_t length, Intent& intent) {
  if (intent.done()) return data_changed(to_ino, out_offset, 0), static_cast<std::size_t>(intent.result());
  const auto from = descriptor(in, false);
  if (!from) return refuse(from.error());
  const auto to = descriptor(out, true);
  if (!to) return refuse(to.error());
  if (out_offset >= kFileBytesMax) return refuse(EFBIG);
  if (auto begun = intent.changes(opened_key(out)); !begun) return refuse(begun.error());
  Standby::about_to_wait();
  const off_t begin = out_offset;  // the call moves it
  const ssize_t copied = copy_file_range(*from, &in_offset, *to, &out_offset, length, 0);
  const int error = errno;
  intent.settle(copied >= 0, static_cast<std::uint64_t>(copied));
  if (copied < 0) return refuse(error);
  if (copied > 0) data_changed(to_ino, begin, copied);
  return static_cast<std::size_t>(copied);
}

Answer<Handle> FileSystem::open_directory(const Caller& caller, Ino ino, Intent& intent) {
  if (intent.opened() != 0) return intent.opened();
  const auto inode = inodes_.reach(ino);
  if (!inode) return refuse(inode.error());
  auto directory = run_as(grant_.identity_of(caller), caller.pid, [&]() -> Answer<UniqueFd> {
    // "." of the directory itself would ask for the right to search it, which reading its names does not need.
    std::array<char, 16> name{};
    *fmt::format_to_n(name.begin(), name.size() - 1, "{}", inode->fd()).out = '\0';
    UniqueFd opened(openat(descriptors_.get(), name.data(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!opened) return refuse_last();
    return opened;
  });
  if (!directory) return refuse(directory.error());
  struct stat attributes{};
  if (fstat(directory->get(), &attributes) != 0) return refuse_last();
  inodes_.opened(directory->get());
  const auto handle = opens_.add(OpenKind::directory, std::move(*directory), ino, false, attributes);
  if (handle) listings_.opened(ino);
  return handle;
}

// The kernel tells lists of one directory apart by its time of modification. Linux 6.13 gives a change a time of its own where
// somebody has looked meanwhile, in these file systems; not with ext4's inodes of 128 bytes, which have no time of birth either.
bool FileSystem::times_are_fine(int directory, dev_t device) {
  if (times_device_ == device) return times_fine_;
  const auto kind = BackingKind::of(directory);
  struct statx known{};
  const bool fine = kind && kind->times_each_change() && statx(directory, "", AT_EMPTY_PATH, STATX_BTIME, &known) == 0 &&
                    (known.stx_mask & STATX_BTIME) != 0;
  times_fine_ = fine;
  times_device_ = device;
  return fine;
}

// A list that is used again without us leaves the access time alone: only where reading would, too.
FileSystem::ListingUse FileSystem::listing_use(Handle handle, Listings::Duration remembered) {
  const OpenRecord* open = opens_.find(handle, OpenKind::directory);
  const Node* node = open == nullptr ? nullptr : inodes_.node(open->ino);
  struct stat attributes{};
  if (node == nullptr || !times_are_fine(fd_of(*open), open->device)) return {};
  if (!listings_.current(open->ino, node->names_version(), std::chrono::steady_clock::now(), remembered)) return {.keep = true};
  return {.keep = true, .current = fstat(fd_of(*open), &attributes) == 0 && !reading_changes(attributes)};
}

// Positions are the backing directory's own, so nothing is remembered between calls or over a restart.
Answer<> FileSystem::read_directory(Handle handle, off_t offset, const std::function<bool(const Name&)>& entry) {
  const OpenRecord* open = opens_.find(handle, OpenKind::directory);
  if (open == nullptr) return refuse(EBADF);
  if (const Node* node = inodes_.node(open->ino); offset == 0 && node != nullptr) {
    listings_.begun(open->ino, node->names_version(), std::chrono::steady_clock::now());
  }
  if (lseek(fd_of(*open), offset, SEEK_SET) < 0) return refuse_last();
  alignas(DirectoryEntry) std::array<char, 16384> buffer;
  while (true) {
    const long size = syscall(SYS_getdents64, fd_of(*open), buffer.data(), buffer.size());
    if (size < 0) return refuse_last();
    if (Node* node = inodes_.node(open->ino)) coherence_.attributes_changed(*node, inodes_.mount());  // its access time
    if (size == 0) return {};
    for (long at = 0; at < size;) {
      DirectoryEntry raw{};
      std::memcpy(&raw, buffer.data() + at, kEntryNameOffset);
      if (!entry({buffer.data() + at + kEntryNameOffset, raw.number, type_of(raw.type), raw.next})) return {};
      at += raw.size;
    }
  }
}

void FileSystem::list_page(Handle handle) {
  const OpenRecord* open = opens_.find(handle, OpenKind::directory);
  Node* node = open == nullptr ? nullptr : inodes_.node(open->ino);
  if (node == nullptr) return;
  pages_.begin(handle, open->ino, cache_.names().now(), [&] { coherence_.taking_in(*node, inodes_.mount()); });
}

void FileSystem::list_taken_in(Handle handle) {
  const auto begun = pages_.end(handle, [&](Ino directory) {
    if (Node* node = inodes_.node(directory)) coherence_.taken_in(*node, inodes_.mount(), cache_.names());
  });
  if (begun && cache_.names().again_since(*begun)) cache_.drop_all_names();
}

// As the daemon: creating gave the right to open, whatever the mode says.
Answer<Created> FileSystem::created_before(const Intent& intent, int flags) {
  auto entry = made_before(intent);
  if (!entry) return refuse(entry.error());
  if (intent.opened() != 0) return tell_of_open(entry->ino), Created{*entry, intent.opened()};
  const auto inode = inodes_.reach(entry->ino);
  if (!inode) return refuse(inode.error());
  const std::string name = fmt::format("{}", inode->fd());
  UniqueFd file(openat(descriptors_.get(), name.c_str(), backing_flags(flags & ~O_TRUNC)));
  if (!file) return refuse_last();
  auto handle = add_file(std::move(file), entry->ino, flags);
  if (!handle) return refuse(handle.error());
  return Created{*entry, *handle};
}

}  // namespace berth::fuse

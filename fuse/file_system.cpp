// Names and attributes; file_system_data.cpp has what is done with open files.
#include "fuse/file_system.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "fuse/access_time.hpp"
#include "fuse/depth.hpp"

namespace berth::fuse {
namespace {

// One component that can't lead anywhere else. The kernel sends no other; a forged request might.
Answer<> check_name(std::string_view name) {
  if (name.size() > kNameBytesMax) return refuse(ENAMETOOLONG);
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string_view::npos) return refuse(EINVAL);
  return {};
}

struct FdName {
  explicit FdName(int fd) { *fmt::format_to_n(text.begin(), text.size() - 1, "{}", fd).out = '\0'; }
  std::array<char, 16> text{};
};

// Whose write takes the sgid bit of a file that its group may not execute.
bool loses_sgid(const struct stat& file, const Identity& identity) {
  if (!S_ISREG(file.st_mode) || (file.st_mode & (S_ISGID | S_IXGRP)) != S_ISGID) return false;
  return identity.uid != 0 && identity.gid != file.st_gid &&
         std::ranges::find(identity.groups, file.st_gid) == identity.groups.end();
}

Answer<struct stat> stat_of(int fd) {
  struct stat attributes{};
  if (fstatat(fd, "", &attributes, AT_EMPTY_PATH) != 0) return refuse_last();
  return attributes;
}

}  // namespace

FileSystem::FileSystem(const Grant& grant, InodeTable& inodes, OpenFiles& opens, Coherence& coherence, KernelCache& cache,
                       LockTable& locks, Journal& journal)
    : grant_(grant),
      inodes_(inodes),
      opens_(opens),
      coherence_(coherence),
      cache_(cache),
      locks_(locks),
      journal_(journal),
      descriptors_(::open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC)) {}

Answer<> FileSystem::may_write() const {
  if (!grant_.rights().write) return refuse(EROFS);
  return {};
}

Answer<Entry> FileSystem::enter_opened(UniqueFd fd) {
  auto found = stat_of(fd.get());
  if (!found) return refuse(found.error());
  Entry entry{inodes_.retain_known(*found), *found};
  if (entry.ino != 0) return entry;
  auto ino = inodes_.retain(std::move(fd), *found);
  if (!ino) return refuse(ino.error());
  entry.ino = *ino;
  return entry;
}

Answer<Entry> FileSystem::enter(int directory, const char* name) {
  Entry entry;
  if (fstatat(directory, name, &entry.attributes, AT_SYMLINK_NOFOLLOW) != 0) return refuse_last();
  entry.ino = inodes_.retain_known(entry.attributes);
  if (entry.ino == 0) entry.ino = inodes_.retain_named(directory, name, entry.attributes);
  if (entry.ino != 0) return entry;
  return enter_by_descriptor(directory, name);
}

Answer<Entry> FileSystem::enter_by_descriptor(int directory, const char* name) {
  UniqueFd fd(openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return refuse_last();
  return enter_opened(std::move(fd));
}

// Whether everybody who can reach a name through the kernel's cache could have looked it up.
bool FileSystem::names_cacheable(int directory) const {
  if (grant_.names_cacheable()) return true;
  const auto attributes = stat_of(directory);
  return attributes && everybody_may_search(attributes->st_mode);
}

Trust FileSystem::trust_attributes(Ino ino, const struct stat& attributes) {
  Node* node = inodes_.node(ino);
  if (node == nullptr) return Trust::none;
  const Coherence::Opens open = coherence_.opens(*node, inodes_.mount());
  if (open.written_elsewhere || (open.read_elsewhere && reading_changes(attributes))) return Trust::none;
  coherence_.hand_out(*node, inodes_.mount(), attributes);
  if (S_ISDIR(attributes.st_mode)) return node->watched() ? Trust::lasting : Trust::brief;
  // By another name it may be changed where nobody watches.
  const bool reported = node->in_view() && attributes.st_nlink == 1 && !node->unheard() && !open.written_here;
  return reported ? Trust::lasting : Trust::brief;
}

// As the daemon.
void FileSystem::watch(Entry& entry, const Node& parent) {
  if (!S_ISDIR(entry.attributes.st_mode)) {
    if (Node* node = inodes_.node(entry.ino)) node->set_in_view(parent.watched());
  } else if (inodes_.watch(entry.ino)) {
    const auto inode = inodes_.reach(entry.ino);
    if (const auto now = inode ? stat_of(inode->fd()) : refuse(inode.error()); now) entry.attributes = *now;
  }
}

// `seen`: the version of the parent's names before this one was read.
void FileSystem::judge(Entry& entry, Node& parent, int directory, std::uint32_t seen) {
  watch(entry, parent);
  entry.attributes_trust = trust_attributes(entry.ino, entry.attributes);
  if (!names_cacheable(directory)) return;
  coherence_.telling(parent, inodes_.mount(), cache_.names());
  if (parent.names_version() != seen) return;
  cache_.names().told();
  entry.name_trust = parent.watched() ? Trust::lasting : Trust::brief;
}

Answer<Entry> FileSystem::lookup(const Caller& caller, Ino parent, const char* name) {
  if (auto checked = check_name(name); !checked) return refuse(checked.error());
  const auto directory = inodes_.reach(parent);
  if (!directory) return refuse(directory.error());
  Node* node = inodes_.node(parent);
  if (node == nullptr) return refuse(ESTALE);
  const std::uint32_t seen = node->names_version();
  auto entry = run_as(grant_.identity_of(caller), caller.pid, [&] { return enter(directory->fd(), name); });
  if (entry) {
    judge(*entry, *node, directory->fd(), seen);
    return entry;
  }
  if (entry.error() != Errno{ENOENT} || !names_cacheable(directory->fd())) return entry;
  coherence_.missing(*node, name, inodes_.mount(), cache_.names());
  if (node->names_version() != seen) return entry;
  cache_.names().told();
  Entry missing;
  missing.name_trust = node->watched() ? Trust::lasting : Trust::brief;
  return missing;
}

Answer<Attributes> FileSystem::attributes(Ino ino, Handle handle) {
  Answer<struct stat> found;
  if (const OpenRecord* open = opens_.find(handle, OpenKind::file)) {
    found = stat_of(fd_of(*open));
  } else {
    const auto inode = inodes_.reach(ino);
    if (!inode) return refuse(inode.error());
    found = stat_of(inode->fd());
  }
  if (!found) return refuse(found.error());
  return Attributes{*found, trust_attributes(ino, *found)};
}

Answer<Attributes> FileSystem::change(const Caller& caller, Ino ino, const Changes& changes, Handle handle, Intent& intent) {
  if (auto allowed = may_write(); !allowed) return refuse(allowed.error());
  const InodeRecord* record = inodes_.record(ino);
  if (record == nullptr) return refuse(ESTALE);
  const auto inode = inodes_.reach(ino);
  if (!inode) return refuse(inode.error());
  const OpenRecord* open = opens_.find(handle, OpenKind::file);
  const int open_fd = open != nullptr && open->writable != 0 ? fd_of(*open) : -1;
  auto applied = Answer<>{};
  if (const bool resized = intent.done() && intent.result() == kOnlyResized; !intent.done() || resized) {
    auto begun =
        changes.size && !resized ? intent.resizes(key_of(ino), ino, inode->fd(), *changes.size) : intent.changes(key_of(ino));
    if (!begun) return refuse(begun.error());
    applied = intent.settle(apply(caller, ino, inode->fd(), *record, changes, open_fd, resized));
  }
  // What failed half-way has changed something too.
  Node* node = inodes_.node(ino);
  if (node == nullptr) return refuse(ESTALE);
  coherence_.attributes_changed(*node, inodes_.mount());
  if (changes.size) data_changed(ino, *changes.size, 0);
  const auto now = stat_of(inode->fd());
  const bool closed = record->type == S_IFDIR && (!now || !everybody_may_search(now->st_mode));
  if (closed && (changes.mode || changes.uid || changes.gid)) coherence_.access_changed(*node, inodes_.mount());
  if (!applied) return refuse(applied.error());
  if (!now) return refuse(now.error());
  return Attributes{*now, trust_attributes(ino, *now)};
}

// The mode last: with an owner or a size the kernel sends the mode without suid bits, which must stay if the rest fails.
Answer<> FileSystem::apply(const Caller& caller, Ino ino, int fd, const InodeRecord& record, const Changes& changes, int open_fd,
                           bool resized) {
  const Identity identity = grant_.identity_of(caller);
  if (changes.none()) return touch(caller, ino, fd);
  if (changes.uid || changes.gid) {
    const uid_t uid = changes.uid.value_or(static_cast<uid_t>(-1));
    const gid_t gid = changes.gid.value_or(static_cast<gid_t>(-1));
    auto done = run_as(identity, caller.pid, [&] { return answer(fchownat(fd, "", uid, gid, AT_EMPTY_PATH)); });
    if (!done) return done;
  }
  if (changes.size && !resized) {
    if (record.type != S_IFREG) return refuse(record.type == S_IFDIR ? EISDIR : EINVAL);
    if (*changes.size > kFileBytesMax) return refuse(EFBIG);
    auto done = run_as(changing_identity(caller, fd), caller.pid, [&] { return change_size(fd, open_fd, *changes.size); });
    if (!done) return done;
  }
  if (changes.mode) {
    auto done = changes.uid || changes.gid || changes.size ? strip_mode(caller, ino, fd, *changes.mode)
                                                           : change_mode(caller, ino, fd, *changes.mode);
    if (!done) return done;
  }
  if (changes.access_time || changes.modification_time) {
    constexpr timespec kOmit{0, UTIME_OMIT};
    const std::array<timespec, 2> times{changes.access_time.value_or(kOmit), changes.modification_time.value_or(kOmit)};
    return run_as(identity, caller.pid, [&] { return answer(utimensat(fd, "", times.data(), AT_EMPTY_PATH)); });
  }
  return {};
}

// What is not in `wanted`, unless the backing file system has taken it away already. Of sticky bits the kernel knows nothing
// where it does not check permissions.
Answer<> FileSystem::strip_mode(const Caller& caller, Ino ino, int fd, mode_t wanted) {
  const auto now = stat_of(fd);
  if (!now) return refuse(now.error());
  const mode_t permissions = now->st_mode & 07777;
  const mode_t mode = permissions & (wanted | S_ISVTX);
  if (mode == permissions) return {};
  return change_mode(caller, ino, fd, mode);
}

// What the kernel has no word for: chown(-1, -1), which only sets the time of change, and a write that takes the sgid bit of
// a file which its group may not execute.
Answer<> FileSystem::touch(const Caller& caller, Ino ino, int fd) {
  const auto now = stat_of(fd);
  if (!now) return refuse(now.error());
  const Identity identity = grouped_identity(caller);
  if (loses_sgid(*now, identity)) return change_mode(caller, ino, fd, now->st_mode & ~static_cast<mode_t>(S_ISGID));
  constexpr auto kSame = static_cast<uid_t>(-1);
  return run_as(identity, caller.pid, [&] { return answer(fchownat(fd, "", kSame, kSame, AT_EMPTY_PATH)); });
}

// Where the groups decide without an error to notice it by.
Identity FileSystem::grouped_identity(const Caller& caller) const {
  Identity identity = grant_.identity_of(caller);
  if (identity.groups_known) return identity;
  identity.groups = groups_of(caller.pid);
  identity.groups_known = true;
  return identity;
}

// A new file with the sgid bit loses it where its group is not one of the maker's.
Identity FileSystem::creating_identity(const Caller& caller, mode_t mode) const {
  return (mode & S_ISGID) != 0 ? grouped_identity(caller) : grant_.identity_of(caller);
}

// And so does one whose content changes.
Identity FileSystem::changing_identity(const Caller& caller, int fd) const {
  const auto now = stat_of(fd);
  return creating_identity(caller, now ? now->st_mode : 0);
}

// The kernel leaves suid and sgid bits to a root that writes; where that root is another user here, they go before it can.
void FileSystem::strip_for_root(const Caller& caller, Ino ino, int fd) {
  if (caller.uid != 0) return;
  const Identity identity = grant_.identity_of(caller);
  const auto now = stat_of(fd);
  if (identity.uid == 0 || !now || (now->st_mode & (S_ISUID | S_ISGID)) == 0) return;
  mode_t mode = now->st_mode & 07777 & ~static_cast<mode_t>(S_ISUID);
  if ((mode & S_IXGRP) != 0 || loses_sgid(*now, identity)) mode &= ~static_cast<mode_t>(S_ISGID);
  if (mode == (now->st_mode & 07777) || fchmod(fd, mode) != 0) return;
  if (Node* node = inodes_.node(ino)) coherence_.attributes_changed(*node, kNoMount);
}

Answer<> FileSystem::change_size(int fd, int open_fd, off_t size) {
  if (open_fd >= 0) return answer(ftruncate(open_fd, size));
  const FdName name(fd);
  const UniqueFd file(openat(descriptors_.get(), name.text.data(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  if (!file) return refuse_last();
  return answer(ftruncate(file.get(), size));
}

// The kernel asks for a mode without the suid and sgid bits when another user than the owner writes: anyone who may write
// the file, or has it open for writing from a time when it might, may take these bits from it. Everything else is the
// backing file system's to decide.
Answer<> FileSystem::change_mode(const Caller& caller, Ino ino, int fd, mode_t wanted) {
  mode_t mode = wanted & 07777;
  const FdName name(fd);
  const auto now = stat_of(fd);
  if (!now) return refuse(now.error());
  const mode_t permissions = now->st_mode & 07777;
  const Identity identity = (mode & S_ISGID) != 0 ? grouped_identity(caller) : grant_.identity_of(caller);
  const bool only_strips = S_ISREG(now->st_mode) && permissions != mode && permissions == (mode | (permissions & 06000));
  if (only_strips && identity.uid != now->st_uid) {
    auto writable = run_as(identity, caller.pid, [&] {
      return answer(static_cast<int>(syscall(SYS_faccessat2, fd, "", W_OK, AT_EMPTY_PATH | AT_EACCESS)));
    });
    if (!writable && !opens_.open_for_writing(ino)) return refuse(EPERM);
    if (loses_sgid(*now, identity)) mode &= ~static_cast<mode_t>(S_ISGID);
    return answer(fchmodat(descriptors_.get(), name.text.data(), mode, 0));
  }
  return run_as(identity, caller.pid, [&] { return answer(fchmodat(descriptors_.get(), name.text.data(), mode, 0)); });
}

Answer<std::string> FileSystem::read_link(Ino ino) {
  const auto inode = inodes_.reach(ino);
  if (!inode) return refuse(inode.error());
  std::string target(PATH_MAX, '\0');
  const ssize_t size = readlinkat(inode->fd(), "", target.data(), target.size());
  if (size < 0) return refuse_last();
  target.resize(static_cast<std::size_t>(size));
  if (Node* node = inodes_.node(ino)) coherence_.attributes_changed(*node, inodes_.mount());  // its access time
  return target;
}

Answer<> FileSystem::access(const Caller& caller, Ino ino, int mask) {
  const auto inode = inodes_.reach(ino);
  if (!inode) return refuse(inode.error());
  if ((mask & W_OK) != 0) {
    if (auto allowed = may_write(); !allowed) return allowed;
  }
  return run_as(grant_.identity_of(caller), caller.pid, [&] {
    return answer(static_cast<int>(syscall(SYS_faccessat2, inode->fd(), "", mask, AT_EMPTY_PATH | AT_EACCESS)));
  });
}

Answer<struct statvfs> FileSystem::statistics(Ino ino) {
  const auto inode = inodes_.reach(ino);
  if (!inode) return refuse(inode.error());
  struct statvfs statistics{};
  if (fstatvfs(inode->fd(), &statistics) != 0) return refuse_last();
  statistics.f_namemax = kNameBytesMax;
  return statistics;
}

Answer<> FileSystem::check_depth_of(Node& node, int directory) {
  const std::uint32_t moves = coherence_.moves();
  if (node.not_deep() == moves) return {};
  const auto root = inodes_.reach(kRootIno);
  if (!root) return refuse(root.error());
  const auto depth = check_depth(descriptors_.get(), directory, root->fd());
  if (!depth) return refuse(depth.error());
  if (*depth == Depth::not_deep) node.set_not_deep(moves);
  return {};
}

// `make_it(directory)` makes the name, `enter_it(directory, name)` looks at it.
template <class Make, class Enter>
Answer<Entry> FileSystem::make(const Caller& caller, const Identity& identity, Ino parent, const char* name, Intent& intent,
                               Make&& make_it, Enter&& enter_it) {
  if (auto checked = check_name(name); !checked) return refuse(checked.error());
  if (auto allowed = may_write(); !allowed) return refuse(allowed.error());
  const auto directory = inodes_.reach(parent);
  if (!directory) return refuse(directory.error());
  Node* node = inodes_.node(parent);
  if (node == nullptr) return refuse(ESTALE);
  if (intent.done()) return coherence_.name_changed(*node, name, inodes_.mount()), made_before(intent);
  will_know(*node, name);
  const std::uint32_t before = node->names_version();
  std::uint32_t seen = 0;
  auto entry = run_as(identity, caller.pid, [&]() -> Answer<Entry> {
    if (auto begun = intent.makes(key_of(parent), parent, directory->fd(), name); !begun) return refuse(begun.error());
    if (auto made = intent.settle(make_it(directory->fd())); !made) return refuse(made.error());
    coherence_.name_changed(*node, name, std::nullopt, before, inodes_.mount());
    seen = node->names_version();
    return enter_it(directory->fd(), name);
  });
  if (entry) judge(*entry, *node, directory->fd(), seen);
  return entry;
}

template <class Make>
Answer<Entry> FileSystem::make(const Caller& caller, const Identity& identity, Ino parent, const char* name, Intent& intent,
                               Make&& make_it) {
  const auto enter_it = [this](int directory, const char* made) { return enter(directory, made); };
  return make(caller, identity, parent, name, intent, std::forward<Make>(make_it), enter_it);
}

Answer<Entry> FileSystem::make_node(const Caller& caller, Ino parent, const char* name, mode_t mode, dev_t device,
                                    Intent& intent) {
  return make(caller, creating_identity(caller, mode), parent, name, intent,
              [&](int directory) { return answer(mknodat(directory, name, mode, device)); });
}

Answer<Entry> FileSystem::make_directory(const Caller& caller, Ino parent, const char* name, mode_t mode, Intent& intent) {
  const auto make_it = [&](int directory) {
    Node* node = inodes_.node(parent);
    auto allowed = node == nullptr ? refuse(ESTALE) : check_depth_of(*node, directory);
    return allowed ? answer(mkdirat(directory, name, mode)) : allowed;
  };
  // It is going to be watched, by its descriptor.
  const auto enter_it = [this](int directory, const char* made) { return enter_by_descriptor(directory, made); };
  return make(caller, grant_.identity_of(caller), parent, name, intent, make_it, enter_it);
}

Answer<Entry> FileSystem::make_symlink(const Caller& caller, const char* target, Ino parent, const char* name, Intent& intent) {
  if (std::strlen(target) > kSymlinkBytesMax) return refuse(ENAMETOOLONG);
  return make(caller, grant_.identity_of(caller), parent, name, intent,
              [&](int directory) { return answer(symlinkat(target, directory, name)); });
}

Answer<Entry> FileSystem::link(const Caller& caller, Ino ino, Ino parent, const char* name, Intent& intent) {
  const auto inode = inodes_.reach(ino);
  if (!inode) return refuse(inode.error());
  const auto before = stat_of(inode->fd());
  if (!before) return refuse(before.error());
  if (before->st_nlink >= kLinksMax && !S_ISDIR(before->st_mode) && !intent.done()) return refuse(EMLINK);
  const FdName source(inode->fd());
  auto entry = make(caller, grant_.identity_of(caller), parent, name, intent, [&](int directory) {
    return answer(linkat(descriptors_.get(), source.text.data(), directory, name, AT_SYMLINK_FOLLOW));
  });
  if (Node* node = inodes_.node(ino); entry && node != nullptr) coherence_.attributes_changed(*node, inodes_.mount());
  return entry;
}

// The name is gone from `victim`: others' kernels must not keep its old link count, and ours may still use the inode.
void FileSystem::lost_name(UniqueFd victim, const struct stat& left) {
  coherence_.attributes_changed(InodeKey{left.st_dev, left.st_ino}, inodes_.mount());
  if (victim && (left.st_nlink == 0 || S_ISDIR(left.st_mode))) inodes_.pin(inodes_.find(left), std::move(victim));
}

// Before the name is there: from then on another mount may take it away again.
void FileSystem::will_know(Node& directory, const char* name) {
  coherence_.missing(directory, name, inodes_.mount(), cache_.names());
}

// After its name went. What had no other needs no second look.
Answer<struct stat> FileSystem::what_is_left(const Intent::Victim& victim) {
  if (!victim.there) return refuse(ENOENT);
  if (victim.attributes.st_nlink != 1 && victim.fd) return stat_of(victim.fd.get());
  struct stat left = victim.attributes;
  --left.st_nlink;
  return left;
}

Answer<> FileSystem::remove_name(const Caller& caller, Ino parent, const char* name, int flags, Intent& intent) {
  if (auto checked = check_name(name); !checked) return checked;
  if (auto allowed = may_write(); !allowed) return allowed;
  const auto directory = inodes_.reach(parent);
  if (!directory) return refuse(directory.error());
  Node* node = inodes_.node(parent);
  if (node == nullptr) return refuse(ESTALE);
  if (intent.done()) {
    coherence_.name_changed(*node, name, inodes_.mount());
    return coherence_.attributes_changed(intent.before(), inodes_.mount()), Answer<>{};
  }
  const std::uint32_t seen = node->names_version();
  Intent::Victim victim;
  auto removed = run_as(grant_.identity_of(caller), caller.pid, [&]() -> Answer<> {
    if (auto begun = intent.removes(key_of(parent), parent, directory->fd(), name, victim, inodes_.may_hold(S_IFREG)); !begun)
      return begun;
    return intent.settle(answer(unlinkat(directory->fd(), name, flags)));
  });
  if (!removed) return removed;
  const auto left = what_is_left(victim);
  if (!left) return coherence_.name_changed(*node, name, inodes_.mount()), Answer<>{};
  coherence_.name_changed(*node, name, InodeKey{left->st_dev, left->st_ino}, seen, inodes_.mount());
  lost_name(std::move(victim.fd), *left);
  return {};
}

Answer<> FileSystem::unlink(const Caller& caller, Ino parent, const char* name, Intent& intent) {
  return remove_name(caller, parent, name, 0, intent);
}

Answer<> FileSystem::remove_directory(const Caller& caller, Ino parent, const char* name, Intent& intent) {
  return remove_name(caller, parent, name, AT_REMOVEDIR, intent);
}

Answer<> FileSystem::rename(const Caller& caller, Ino parent, const char* name, Ino new_parent, const char* new_name,
                            unsigned flags, Intent& intent) {
  if (auto checked = check_name(name); !checked) return checked;
  if (auto checked = check_name(new_name); !checked) return checked;
  if (auto allowed = may_write(); !allowed) return allowed;
  if ((flags & ~static_cast<unsigned>(RENAME_NOREPLACE | RENAME_EXCHANGE)) != 0) return refuse(EINVAL);
  const auto from = inodes_.reach(parent);
  if (!from) return refuse(from.error());
  const auto to = inodes_.reach(new_parent);
  if (!to) return refuse(to.error());
  Node* from_node = inodes_.node(parent);
  Node* to_node = inodes_.node(new_parent);
  if (from_node == nullptr || to_node == nullptr) return refuse(ESTALE);
  if ((flags & RENAME_EXCHANGE) != 0) will_know(*from_node, name);
  will_know(*to_node, new_name);
  Intent::Victim victim;
  const bool by_a_dead_daemon = intent.done();
  bool moves_directory = by_a_dead_daemon || flags == RENAME_EXCHANGE;
  auto renamed = run_as(grant_.identity_of(caller), caller.pid, [&]() -> Answer<> {
    if (by_a_dead_daemon) return {};
    struct stat moving{};
    const bool climbs = parent != new_parent && fstatat(from->fd(), name, &moving, AT_SYMLINK_NOFOLLOW) == 0;
    if (climbs && S_ISDIR(moving.st_mode)) {
      if (auto allowed = check_depth_of(*to_node, to->fd()); !allowed) return allowed;
      moves_directory = true;
    }
    auto begun = intent.renames({key_of(parent), parent, from->fd(), name}, {key_of(new_parent), new_parent, to->fd(), new_name},
                                (flags & RENAME_EXCHANGE) != 0);
    if (!begun) return begun;
    const bool replaces = flags == 0 && !intent.new_name_was_free();
    if (replaces) victim.find(to->fd(), new_name, inodes_.may_hold(S_IFREG));
    return intent.settle(answer(renameat2(from->fd(), name, to->fd(), new_name, flags)));
  });
  if (moves_directory) coherence_.directory_moves();
  if (!renamed) return renamed;
  const bool away = parent != new_parent;
  coherence_.names_changed(*from_node, name, *to_node, new_name, inodes_.mount());
  was_moved(intent.before(), away);
  if (by_a_dead_daemon || flags == RENAME_EXCHANGE) was_moved(intent.new_before(), away);
  if (const auto left = what_is_left(victim); left) lost_name(std::move(victim.fd), *left);
  return {};
}

// `away`: into another directory, which another mount that knows the inode need not know: then nobody watches it for that one.
void FileSystem::was_moved(const InodeKey& moved, bool away) {
  if (away) coherence_.left_view(moved);
  coherence_.attributes_changed(moved, inodes_.mount());
}

}  // namespace berth::fuse

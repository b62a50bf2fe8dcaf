#include "fuse/ops.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "broker/base/log.hpp"
#include "broker/base/unique_fd.hpp"
#include "fuse/libfuse.hpp"
#include "fuse/mount.hpp"

namespace berth::fuse {
namespace {

using FileInfo = struct fuse_file_info;

Mount& mount_of(fuse_req_t req) { return *static_cast<Mount*>(fuse_req_userdata(req)); }

Caller caller_of(fuse_req_t req) {
  const struct fuse_ctx* context = fuse_req_ctx(req);
  return {context->uid, context->gid, context->pid};
}

void reply_errno(fuse_req_t req, Errno value) { fuse_reply_err(req, number(value)); }

void reply(fuse_req_t req, const Answer<>& answer) { fuse_reply_err(req, answer ? 0 : number(answer.error())); }

void reply(fuse_req_t req, Ino ino, const Answer<struct stat>& answer) {
  if (!answer) return reply_errno(req, answer.error());
  fuse_reply_attr(req, &*answer, mount_of(req).attribute_timeout(ino));
}

struct fuse_entry_param entry_param(Mount& mount, Ino parent, const Entry& entry) {
  struct fuse_entry_param param {};
  param.ino = entry.ino;
  param.attr = entry.attributes;
  param.attr_timeout = mount.attribute_timeout(entry.ino);
  param.entry_timeout = mount.entry_timeout(parent);
  return param;
}

// A reply that does not arrive (the caller was killed) leaves no reference with the kernel.
void reply(fuse_req_t req, Ino parent, const Answer<Entry>& answer) {
  if (!answer) return reply_errno(req, answer.error());
  Mount& mount = mount_of(req);
  const struct fuse_entry_param param = entry_param(mount, parent, *answer);
  if (fuse_reply_entry(req, &param) != 0) mount.files().forget(answer->ino, 1);
}

void op_init(void* data, struct fuse_conn_info* connection) {
  auto& mount = *static_cast<Mount*>(data);
  const auto set = [connection](unsigned flags, bool on) {
    connection->want = on ? connection->want | (connection->capable & flags) : connection->want & ~flags;
  };
  set(FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_POSIX_LOCKS | FUSE_CAP_FLOCK_LOCKS | FUSE_CAP_PARALLEL_DIROPS, true);
  set(FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO | FUSE_CAP_AUTO_INVAL_DATA, true);
  set(FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO, true);
  // The kernel must take suid and sgid bits away on writes itself: the daemon never sees a passthrough write.
  set(FUSE_CAP_HANDLE_KILLPRIV, false);
  // No lookups of `..`, and no page cache that holds back writes from other mounts.
  set(FUSE_CAP_EXPORT_SUPPORT | FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_SPLICE_READ, false);
  bool passthrough = false;
#if BERTH_FUSE_PASSTHROUGH
  set(FUSE_CAP_HANDLE_KILLPRIV_V2, false);
  passthrough = (connection->capable & FUSE_CAP_PASSTHROUGH) != 0;
#endif
  bool epochs = false;
#if BERTH_FUSE_EPOCH
  epochs = connection->proto_minor >= 44;
#endif
  mount.connection_ready(passthrough, epochs);
#if BERTH_FUSE_PASSTHROUGH
  set(FUSE_CAP_PASSTHROUGH, mount.passthrough());
  connection->max_backing_stack_depth = 1;  // the backing directory may lie on overlayfs
#endif
  set(FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE, !mount.passthrough());
  connection->time_gran = 1;
  connection->max_write = kWriteBytesMax;
}

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char* name) {
  Mount& mount = mount_of(req);
  const auto found = mount.files().lookup(caller_of(req), parent, name);
  if (found || found.error() != Errno{ENOENT}) return reply(req, parent, found);
  struct fuse_entry_param missing {};  // ino 0: the kernel may remember that there is nothing
  missing.entry_timeout = mount.entry_timeout(parent);
  if (missing.entry_timeout == 0) return reply_errno(req, Errno{ENOENT});
  fuse_reply_entry(req, &missing);
}

void op_forget(fuse_req_t req, fuse_ino_t ino, std::uint64_t lookups) {
  mount_of(req).files().forget(ino, lookups);
  fuse_reply_none(req);
}

void op_forget_multi(fuse_req_t req, std::size_t count, struct fuse_forget_data* forgets) {
  for (std::size_t i = 0; i < count; ++i) mount_of(req).files().forget(forgets[i].ino, forgets[i].nlookup);
  fuse_reply_none(req);
}

void op_getattr(fuse_req_t req, fuse_ino_t ino, FileInfo* info) {
  reply(req, ino, mount_of(req).files().attributes(ino, info == nullptr ? 0 : info->fh));
}

Changes changes_of(const struct stat& values, int to_set) {
  Changes changes;
  const timespec now{0, UTIME_NOW};
  if ((to_set & FUSE_SET_ATTR_MODE) != 0) changes.mode = values.st_mode;
  if ((to_set & FUSE_SET_ATTR_UID) != 0) changes.uid = values.st_uid;
  if ((to_set & FUSE_SET_ATTR_GID) != 0) changes.gid = values.st_gid;
  if ((to_set & FUSE_SET_ATTR_SIZE) != 0) changes.size = values.st_size;
  if ((to_set & FUSE_SET_ATTR_ATIME) != 0) changes.access_time = values.st_atim;
  if ((to_set & FUSE_SET_ATTR_MTIME) != 0) changes.modification_time = values.st_mtim;
  if ((to_set & FUSE_SET_ATTR_ATIME_NOW) != 0) changes.access_time = now;
  if ((to_set & FUSE_SET_ATTR_MTIME_NOW) != 0) changes.modification_time = now;
  return changes;
}

void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat* values, int to_set, FileInfo* info) {
  Mount& mount = mount_of(req);
  const Changes changes = changes_of(*values, to_set);
  const auto changed = mount.files().change(caller_of(req), ino, changes, info == nullptr ? 0 : info->fh);
  // Where the kernel does not check directories itself, names it has cached below one are only as good as its mode was.
  const bool access_changed = changed && S_ISDIR(changed->st_mode) && (changes.mode || changes.uid || changes.gid);
  if (access_changed && mount.grant().enforces_identity()) mount.names_changed_for_all();
  reply(req, ino, changed);
}

void op_readlink(fuse_req_t req, fuse_ino_t ino) {
  const auto target = mount_of(req).files().read_link(ino);
  if (!target) return reply_errno(req, target.error());
  fuse_reply_readlink(req, target->c_str());
}

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char* name, mode_t mode, dev_t device) {
  Mount& mount = mount_of(req);
  const Attempt attempt = mount.attempt();
  reply(req, parent, mount.files().make_node(caller_of(req), parent, name, mode, device, attempt));
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char* name, mode_t mode) {
  Mount& mount = mount_of(req);
  const Attempt attempt = mount.attempt();
  reply(req, parent, mount.files().make_directory(caller_of(req), parent, name, mode, attempt));
}

void op_symlink(fuse_req_t req, const char* target, fuse_ino_t parent, const char* name) {
  Mount& mount = mount_of(req);
  const Attempt attempt = mount.attempt();
  reply(req, parent, mount.files().make_symlink(caller_of(req), target, parent, name, attempt));
}

void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char* name) {
  Mount& mount = mount_of(req);
  const Attempt attempt = mount.attempt();
  reply(req, parent, mount.files().link(caller_of(req), ino, parent, name, attempt));
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char* name) {
  Mount& mount = mount_of(req);
  const Attempt attempt = mount.attempt();
  reply(req, mount.files().unlink(caller_of(req), parent, name, attempt));
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char* name) {
  Mount& mount = mount_of(req);
  const Attempt attempt = mount.attempt();
  reply(req, mount.files().remove_directory(caller_of(req), parent, name, attempt));
}

void op_rename(fuse_req_t req, fuse_ino_t parent, const char* name, fuse_ino_t new_parent, const char* new_name,
               unsigned flags) {
  Mount& mount = mount_of(req);
  const Attempt attempt = mount.attempt();
  reply(req, mount.files().rename(caller_of(req), parent, name, new_parent, new_name, flags, attempt));
}

// Lets the kernel read and write the backing file itself. All opens of an inode must name the same backing id; one that is
// open without, must stay without: so a failure ends passthrough for the whole mount.
void pass_through([[maybe_unused]] fuse_req_t req, [[maybe_unused]] Mount& mount, [[maybe_unused]] Ino ino,
                  [[maybe_unused]] Handle handle, [[maybe_unused]] FileInfo& info) {
#if BERTH_FUSE_PASSTHROUGH
  InodeRecord* inode = mount.files().inodes().record(ino);
  OpenRecord* open = mount.files().opened(handle);
  if (inode == nullptr || open == nullptr) return;
  const std::scoped_lock lock(mount.passthrough_mutex());
  if (inode->backing_id == 0) {
    if (!mount.passthrough()) return;
    inode->backing_id = fuse_passthrough_open(req, fd_of(*open));
    if (inode->backing_id <= 0) {
      inode->backing_id = 0;
      mount.disable_passthrough();
      log::warning("passthrough not possible, reads and writes go through the daemon", {{"mount", mount.id().str()}});
      return;
    }
  }
  ++inode->passthrough_opens;
  open->passthrough = 1;
  info.backing_id = inode->backing_id;
#endif
}

void op_open(fuse_req_t req, fuse_ino_t ino, FileInfo* info) {
  Mount& mount = mount_of(req);
  mount.attempt();
  const auto handle = mount.files().open(caller_of(req), ino, info->flags);
  if (!handle) return reply_errno(req, handle.error());
  mount.journal_opened(*handle);
  info->fh = *handle;
  pass_through(req, mount, ino, *handle, *info);
  if (fuse_reply_open(req, info) != 0) mount.close_file(*handle);
}

void reply_created(fuse_req_t req, Ino parent, const Answer<Created>& created, FileInfo& info) {
  if (!created) return reply_errno(req, created.error());
  Mount& mount = mount_of(req);
  mount.journal_opened(created->handle);
  info.fh = created->handle;
  pass_through(req, mount, created->entry.ino, created->handle, info);
  const struct fuse_entry_param param = entry_param(mount, parent, created->entry);
  if (fuse_reply_create(req, &param, &info) == 0) return;
  mount.close_file(created->handle);
  mount.files().forget(created->entry.ino, 1);
}

void op_create(fuse_req_t req, fuse_ino_t parent, const char* name, mode_t mode, FileInfo* info) {
  Mount& mount = mount_of(req);
  const Attempt attempt = mount.attempt();
  reply_created(req, parent, mount.files().create(caller_of(req), parent, name, mode, info->flags, attempt), *info);
}

#if BERTH_FUSE_PASSTHROUGH
void op_tmpfile(fuse_req_t req, fuse_ino_t parent, mode_t mode, FileInfo* info) {
  Mount& mount = mount_of(req);
  mount.attempt();
  reply_created(req, parent, mount.files().make_nameless(caller_of(req), parent, mode, info->flags), *info);
}
#endif

struct fuse_bufvec at_descriptor(int fd, off_t offset, std::size_t size) {
  struct fuse_bufvec data {};
  data.count = 1;
  data.buf[0].size = size;
  data.buf[0].flags = static_cast<enum fuse_buf_flags>(FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK);
  data.buf[0].fd = fd;
  data.buf[0].pos = offset;
  return data;
}

void op_read(fuse_req_t req, fuse_ino_t, std::size_t size, off_t offset, FileInfo* info) {
  const auto fd = mount_of(req).files().descriptor(info->fh, false);
  if (!fd) return reply_errno(req, fd.error());
  struct fuse_bufvec data = at_descriptor(*fd, offset, size);
  fuse_reply_data(req, &data, FUSE_BUF_SPLICE_MOVE);
}

// A write that was begun before a crash and is resent: done twice it is harmless, unless it appends. The kernel says where it
// saw the end of the file; what is there now tells whether the bytes got there.
bool was_appended(int fd, const struct fuse_bufvec& data, off_t offset) {
  if ((fcntl(fd, F_GETFL) & O_APPEND) == 0 || data.count != 1 || (data.buf[0].flags & FUSE_BUF_IS_FD) != 0) return false;
  std::vector<char> there(data.buf[0].size);
  // Through /proc, because the caller's own descriptor may not be for reading.
  const UniqueFd file(open(fmt::format("/proc/self/fd/{}", fd).c_str(), O_RDONLY | O_CLOEXEC));
  return pread(file.get(), there.data(), there.size(), offset) == static_cast<ssize_t>(there.size()) &&
         std::memcmp(there.data(), data.buf[0].mem, there.size()) == 0;
}

void op_write_buf(fuse_req_t req, fuse_ino_t, struct fuse_bufvec* data, off_t offset, FileInfo* info) {
  Mount& mount = mount_of(req);
  const Attempt attempt = mount.attempt();
  const auto fd = mount.files().descriptor(info->fh, true);
  if (!fd) return reply_errno(req, fd.error());
  if (attempt == Attempt::again && was_appended(*fd, *data, offset)) return void(fuse_reply_write(req, fuse_buf_size(data)));
  struct fuse_bufvec to = at_descriptor(*fd, offset, fuse_buf_size(data));
  const ssize_t written = fuse_buf_copy(&to, data, static_cast<enum fuse_buf_copy_flags>(0));
  if (written < 0) return reply_errno(req, Errno{static_cast<int>(-written)});
  fuse_reply_write(req, static_cast<std::size_t>(written));
}

// close(2) of one descriptor of a process: its POSIX locks of the file go, all of them.
void op_flush(fuse_req_t req, fuse_ino_t ino, FileInfo* info) {
  Mount& mount = mount_of(req);
  const bool dropped = mount.files().drop_locks(ino, info->lock_owner);
  fuse_reply_err(req, 0);
  if (dropped) mount.common().waiters.wake(mount.key_of(ino));
}

void op_release(fuse_req_t req, fuse_ino_t ino, FileInfo* info) {
  Mount& mount = mount_of(req);
  const InodeKey key = mount.key_of(ino);
  mount.close_file(info->fh);
  fuse_reply_err(req, 0);
  if (!mount.common().waiters.empty()) mount.common().waiters.wake(key);
}

void op_fsync(fuse_req_t req, fuse_ino_t, int data_only, FileInfo* info) {
  reply(req, mount_of(req).files().sync(info->fh, OpenKind::file, data_only != 0));
}

void op_opendir(fuse_req_t req, fuse_ino_t ino, FileInfo* info) {
  Mount& mount = mount_of(req);
  const auto handle = mount.files().open_directory(caller_of(req), ino);
  if (!handle) return reply_errno(req, handle.error());
  info->fh = *handle;
  if (fuse_reply_open(req, info) != 0) mount.files().close(*handle);
}

// One reply's worth of names; with attributes where `plus`, each of which is a lookup.
class Listing {
 public:
  Listing(fuse_req_t req, Ino directory, std::size_t size, bool plus)
      : req_(req), mount_(mount_of(req)), directory_(directory), plus_(plus), buffer_(size) {}

  bool add(const FileSystem::Name& name) {
    struct fuse_entry_param param {};
    param.attr.st_ino = name.number;
    param.attr.st_mode = name.type;
    const bool dots = std::strcmp(name.name, ".") == 0 || std::strcmp(name.name, "..") == 0;
    if (dots && directory_ == kRootIno) param.attr.st_ino = mount_.key_of(kRootIno).number;  // says nothing of what is above
    if (plus_ && !dots) {
      if (const auto entry = mount_.files().lookup(caller_of(req_), directory_, name.name)) {
        param = entry_param(mount_, directory_, *entry);
      }
    }
    char* at = buffer_.data() + used_;
    const std::size_t left = buffer_.size() - used_;
    const std::size_t needed = plus_ ? fuse_add_direntry_plus(req_, at, left, name.name, &param, name.next)
                                     : fuse_add_direntry(req_, at, left, name.name, &param.attr, name.next);
    if (needed > left) {
      if (param.ino != 0) mount_.files().forget(param.ino, 1);
      return false;
    }
    used_ += needed;
    if (param.ino != 0) entered_.push_back(param.ino);
    return true;
  }

  void reply(const Answer<>& read) {
    if (!read && used_ == 0) return reply_errno(req_, read.error());
    if (fuse_reply_buf(req_, buffer_.data(), used_) == 0) return;
    for (const Ino ino : entered_) mount_.files().forget(ino, 1);
  }

 private:
  fuse_req_t req_;
  Mount& mount_;
  const Ino directory_;
  const bool plus_;
  std::vector<char> buffer_;
  std::size_t used_ = 0;
  std::vector<Ino> entered_;
};

void list(fuse_req_t req, Ino ino, std::size_t size, off_t offset, Handle handle, bool plus) {
  Listing listing(req, ino, size, plus);
  listing.reply(mount_of(req).files().read_directory(handle, offset, [&](const auto& name) { return listing.add(name); }));
}

void op_readdir(fuse_req_t req, fuse_ino_t ino, std::size_t size, off_t offset, FileInfo* info) {
  list(req, ino, size, offset, info->fh, false);
}

void op_readdirplus(fuse_req_t req, fuse_ino_t ino, std::size_t size, off_t offset, FileInfo* info) {
  list(req, ino, size, offset, info->fh, true);
}

void op_releasedir(fuse_req_t req, fuse_ino_t, FileInfo* info) {
  mount_of(req).files().close(info->fh);
  fuse_reply_err(req, 0);
}

void op_fsyncdir(fuse_req_t req, fuse_ino_t, int data_only, FileInfo* info) {
  reply(req, mount_of(req).files().sync(info->fh, OpenKind::directory, data_only != 0));
}

void op_statfs(fuse_req_t req, fuse_ino_t ino) {
  const auto statistics = mount_of(req).files().statistics(ino == 0 ? kRootIno : ino);
  if (!statistics) return reply_errno(req, statistics.error());
  fuse_reply_statfs(req, &*statistics);
}

void op_access(fuse_req_t req, fuse_ino_t ino, int mask) {
  reply(req, mount_of(req).files().access(caller_of(req), ino, mask));
}

void interrupt_waiter(fuse_req_t req, void* token) {
  mount_of(req).common().waiters.interrupt(reinterpret_cast<LockWaiters::Token>(token));
}

// Tries again whenever a lock of the inode is let go, until it succeeds, fails for good or the caller is interrupted.
template <class Try>
void wait_for_lock(fuse_req_t req, Ino ino, Try try_lock) {
  Mount& mount = mount_of(req);
  LockWaiters& waiters = mount.common().waiters;
  const auto attempt = [req, try_lock] {
    const Answer<> got = try_lock();
    if (!got && got.error() == Errno{EAGAIN}) return false;
    reply(req, got);
    return true;
  };
  const auto give_up = [req](int errno_value) { fuse_reply_err(req, errno_value); };
  const auto token = waiters.add({mount.key_of(ino), mount.number(), attempt, give_up});
  fuse_req_interrupt_func(req, interrupt_waiter, reinterpret_cast<void*>(token));
  waiters.arm(token);
}

void op_setlk(fuse_req_t req, fuse_ino_t ino, FileInfo* info, struct flock* lock, int sleep) {
  Mount& mount = mount_of(req);
  const auto try_lock = [&mount, ino, owner = info->lock_owner, wanted = *lock] {
    return mount.files().set_lock(ino, owner, wanted);
  };
  const Answer<> got = try_lock();
  if (!got && got.error() == Errno{EAGAIN} && sleep != 0) return wait_for_lock(req, ino, try_lock);
  const bool lets_go = got && lock->l_type != F_WRLCK;
  reply(req, got);
  if (lets_go) mount.common().waiters.wake(mount.key_of(ino));
}

void op_getlk(fuse_req_t req, fuse_ino_t ino, FileInfo* info, struct flock* lock) {
  const auto found = mount_of(req).files().get_lock(ino, info->lock_owner, *lock);
  if (!found) return reply_errno(req, found.error());
  fuse_reply_lock(req, &*found);
}

void op_flock(fuse_req_t req, fuse_ino_t ino, FileInfo* info, int operation) {
  Mount& mount = mount_of(req);
  const auto try_lock = [&mount, handle = info->fh, operation] { return mount.files().set_flock(handle, operation); };
  const Answer<> got = try_lock();
  const bool waits = (operation & LOCK_NB) == 0;
  if (!got && got.error() == Errno{EAGAIN} && waits) return wait_for_lock(req, ino, try_lock);
  const bool lets_go = got && (operation & LOCK_EX) == 0;
  reply(req, got);
  if (lets_go) mount.common().waiters.wake(mount.key_of(ino));
}

void op_fallocate(fuse_req_t req, fuse_ino_t, int mode, off_t offset, off_t length, FileInfo* info) {
  reply(req, mount_of(req).files().allocate(info->fh, mode, offset, length));
}

void op_lseek(fuse_req_t req, fuse_ino_t, off_t offset, int whence, FileInfo* info) {
  const auto found = mount_of(req).files().seek(info->fh, offset, whence);
  if (!found) return reply_errno(req, found.error());
  fuse_reply_lseek(req, *found);
}

void op_copy_file_range(fuse_req_t req, fuse_ino_t, off_t in_offset, FileInfo* in, fuse_ino_t, off_t out_offset,
                        FileInfo* out, std::size_t length, int) {
  const auto copied = mount_of(req).files().copy_range(in->fh, in_offset, out->fh, out_offset, length);
  if (!copied) return reply_errno(req, copied.error());
  fuse_reply_write(req, *copied);
}

// No extended attributes, as with EFS: ENOSYS once, and the kernel stops asking for them on every write.
struct fuse_lowlevel_ops operations() {
  struct fuse_lowlevel_ops ops {};
  ops.init = op_init;
  ops.lookup = op_lookup;
  ops.forget = op_forget;
  ops.forget_multi = op_forget_multi;
  ops.getattr = op_getattr;
  ops.setattr = op_setattr;
  ops.readlink = op_readlink;
  ops.mknod = op_mknod;
  ops.mkdir = op_mkdir;
  ops.symlink = op_symlink;
  ops.link = op_link;
  ops.unlink = op_unlink;
  ops.rmdir = op_rmdir;
  ops.rename = op_rename;
  ops.open = op_open;
  ops.create = op_create;
#if BERTH_FUSE_PASSTHROUGH
  ops.tmpfile = op_tmpfile;
#endif
  ops.read = op_read;
  ops.write_buf = op_write_buf;
  ops.flush = op_flush;
  ops.release = op_release;
  ops.fsync = op_fsync;
  ops.opendir = op_opendir;
  ops.readdir = op_readdir;
  ops.readdirplus = op_readdirplus;
  ops.releasedir = op_releasedir;
  ops.fsyncdir = op_fsyncdir;
  ops.statfs = op_statfs;
  ops.access = op_access;
  ops.setlk = op_setlk;
  ops.getlk = op_getlk;
  ops.flock = op_flock;
  ops.fallocate = op_fallocate;
  ops.lseek = op_lseek;
  ops.copy_file_range = op_copy_file_range;
  return ops;
}

}  // namespace

struct fuse_session* new_session(Mount& mount) {
  static const struct fuse_lowlevel_ops ops = operations();
  std::string name = "berth";
  std::array<char*, 1> arguments{name.data()};
  struct fuse_args args = FUSE_ARGS_INIT(1, arguments.data());
  return fuse_session_new(&args, &ops, sizeof(ops), &mount);
}

}  // namespace berth::fuse

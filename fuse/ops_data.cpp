// Open files and what is in them.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "broker/base/log.hpp"
#include "broker/base/unique_fd.hpp"
#include "fuse/ops_common.hpp"
#include "fuse/standby.hpp"

namespace berth::fuse {
namespace {

// From here on the copying is worth another worker's time.
constexpr std::size_t kLargeTransfer = std::size_t{32} << 10U;

// Lets the kernel read and write the backing file itself. All opens of an inode must name the same backing id; one that is
// open without, must stay without: so a failure ends passthrough for the whole mount.
void pass_through([[maybe_unused]] fuse_req_t req, [[maybe_unused]] Mount& mount, [[maybe_unused]] Ino ino,
                  [[maybe_unused]] Handle handle, [[maybe_unused]] FileInfo& info) {
#if BERTH_FUSE_PASSTHROUGH
  InodeRecord* inode = mount.files().inodes().record(ino);
  OpenRecord* open = mount.files().opened(handle);
  if (inode == nullptr || open == nullptr) return;
  const std::scoped_lock lock(mount.passthrough_mutex());
  if (open->passthrough == OpenRecord::kPassthrough) info.backing_id = inode->backing_id;
  if (open->passthrough != 0) return;  // of a request that is resent
  const bool may = mount.may_pass_through(*open);
  if (!may && inode->backing_id != 0) return;  // rights that went meanwhile; the kernel takes no mixture and fails the open
  if (inode->backing_id == 0) {
    if (!may || !mount.passthrough() || mount.gated() || inode->plain_opens > 0) {
      open->passthrough = OpenRecord::kPlain;
      ++inode->plain_opens;
      return;
    }
    inode->backing_id = fuse_passthrough_open(req, fd_of(*open));
    if (inode->backing_id <= 0) {
      inode->backing_id = 0;
      open->passthrough = OpenRecord::kPlain;
      ++inode->plain_opens;
      mount.disable_passthrough();
      log::warning("passthrough not possible, reads and writes go through the daemon", {{"mount", mount.id().str()}});
      return;
    }
    mount.note_backing_id(inode->backing_id);
  }
  ++inode->passthrough_opens;
  open->passthrough = OpenRecord::kPassthrough;
  info.backing_id = inode->backing_id;
#endif
}

void announce_closes(Mount& mount, Handle handle, FileInfo& info) {
  const OpenRecord* open = mount.files().opened(handle);
  info.fh = handle;
  info.noflush = open != nullptr && open->unflushed != 0 ? 1 : 0;
}

void op_open(fuse_req_t req, fuse_ino_t ino, FileInfo* info) {
  Mount& mount = mount_of(req);
  Intent intent = mount.intent();
  const auto handle = mount.files().open(caller_of(req), ino, info->flags, intent);
  if (!handle) return reply_errno(req, handle.error());
  announce_closes(mount, *handle, *info);
  pass_through(req, mount, ino, *handle, *info);
  mount.answering();
  if (fuse_reply_open(req, info) != 0) mount.close_file(*handle);
}

void reply_created(fuse_req_t req, const Answer<Created>& created, FileInfo& info) {
  if (!created) return reply_errno(req, created.error());
  Mount& mount = mount_of(req);
  announce_closes(mount, created->handle, info);
  pass_through(req, mount, created->entry.ino, created->handle, info);
  struct fuse_entry_param param = entry_param(mount, created->entry);
  mount.answering();
  if (!mount.introduces(param.ino)) param.attr_timeout = 0;
  if (fuse_reply_create(req, &param, &info) == 0) return;
  mount.close_file(created->handle);
  mount.files().unretain(created->entry.ino);
}

void op_create(fuse_req_t req, fuse_ino_t parent, const char* name, mode_t mode, FileInfo* info) {
  Mount& mount = mount_of(req);
  Intent intent = mount.intent();
  reply_created(req, mount.files().create(caller_of(req), parent, name, mode, info->flags, intent), *info);
}

#if BERTH_FUSE_PASSTHROUGH
void op_tmpfile(fuse_req_t req, fuse_ino_t parent, mode_t mode, FileInfo* info) {
  Mount& mount = mount_of(req);
  Intent intent = mount.intent();
  reply_created(req, mount.files().make_nameless(caller_of(req), parent, mode, info->flags, intent), *info);
}
#endif

struct fuse_bufvec at_descriptor(int fd, off_t offset, std::size_t size) {
  struct fuse_bufvec data{};
  data.count = 1;
  data.buf[0].size = size;
  data.buf[0].flags = static_cast<enum fuse_buf_flags>(FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK);
  data.buf[0].fd = fd;
  data.buf[0].pos = offset;
  return data;
}

void op_read(fuse_req_t req, fuse_ino_t, std::size_t size, off_t offset, FileInfo* info) {
  if (size >= kLargeTransfer) Standby::about_to_wait();
  const auto fd = mount_of(req).files().descriptor(info->fh, false);
  if (!fd) return reply_errno(req, fd.error());
  struct fuse_bufvec data = at_descriptor(*fd, offset, size);
  fuse_reply_data(req, &data, FUSE_BUF_SPLICE_MOVE);
}

// How much of an append a dead daemon got into the file: its bytes are behind what was there before, or they are not.
std::size_t appended(int fd, const struct fuse_bufvec& data, std::int64_t size_before) {
  if (size_before < 0 || data.count != 1 || (data.buf[0].flags & FUSE_BUF_IS_FD) != 0) return 0;
  std::vector<char> there(data.buf[0].size);
  // Through /proc, because the caller's own descriptor may not be for reading.
  const UniqueFd file(open(fmt::format("/proc/self/fd/{}", fd).c_str(), O_RDONLY | O_CLOEXEC));
  const ssize_t read = pread(file.get(), there.data(), there.size(), size_before);
  if (read <= 0 || std::memcmp(there.data(), data.buf[0].mem, static_cast<std::size_t>(read)) != 0) return 0;
  return static_cast<std::size_t>(read);
}

void op_write_buf(fuse_req_t req, fuse_ino_t ino, struct fuse_bufvec* data, off_t offset, FileInfo* info) {
  Mount& mount = mount_of(req);
  Intent intent = mount.intent();
  if (intent.done()) {
    mount.files().data_changed(ino, 0, 0);
    return void(fuse_reply_write(req, intent.result()));
  }
  const auto fd = mount.files().descriptor(info->fh, true);
  if (!fd) return reply_errno(req, fd.error());
  const std::size_t size = fuse_buf_size(data);
  if (size >= kLargeTransfer) Standby::about_to_wait();
  if (offset > kFileBytesMax - static_cast<off_t>(size)) return reply_errno(req, Errno{EFBIG});
  const bool appends = (info->flags & O_APPEND) != 0;
  const std::size_t there = appends && intent.was_begun() ? appended(*fd, *data, intent.size_before()) : 0;
  intent.goes_on_at(there);
  const InodeKey file = mount.key_of(ino);
  const auto begun = appends ? intent.appends(file, ino, *fd, size) : intent.changes(file);
  if (!begun) return reply_errno(req, begun.error());
  struct fuse_bufvec to = at_descriptor(*fd, offset + static_cast<off_t>(there), size - there);
  data->off = there;
  const ssize_t written = there == size ? 0 : fuse_buf_copy(&to, data, static_cast<enum fuse_buf_copy_flags>(0));
  const std::size_t all = there + static_cast<std::size_t>(std::max<ssize_t>(written, 0));
  intent.settle(written >= 0, all);
  if (appends) {
    mount.files().data_changed(ino, std::max<off_t>(intent.size_before(), 0), 0);
  } else {
    mount.files().data_changed(ino, offset, static_cast<off_t>(size));
  }
  mount.answering();
  if (written < 0) return reply_errno(req, Errno{static_cast<int>(-written)});
  fuse_reply_write(req, all);
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
  mount.files().drop_locks_of(info->fh);
  mount.close_file(info->fh);
  fuse_reply_err(req, 0);
  if (!mount.common().waiters.empty()) mount.common().waiters.wake(key);
}

void op_fsync(fuse_req_t req, fuse_ino_t, int data_only, FileInfo* info) {
  reply(req, mount_of(req).files().sync(info->fh, OpenKind::file, data_only != 0));
}

void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length, FileInfo* info) {
  Intent intent = mount_of(req).intent();
  reply(req, mount_of(req).files().allocate(ino, info->fh, mode, offset, length, intent));
}

void op_lseek(fuse_req_t req, fuse_ino_t, off_t offset, int whence, FileInfo* info) {
  const auto found = mount_of(req).files().seek(info->fh, offset, whence);
  if (!found) return reply_errno(req, found.error());
  fuse_reply_lseek(req, *found);
}

void op_copy_file_range(fuse_req_t req, fuse_ino_t, off_t in_offset, FileInfo* in, fuse_ino_t to, off_t out_offset, FileInfo* out,
                        std::size_t length, int) {
  Intent intent = mount_of(req).intent();
  const auto copied = mount_of(req).files().copy_range(in->fh, in_offset, to, out->fh, out_offset, length, intent);
  if (!copied) return reply_errno(req, copied.error());
  fuse_reply_write(req, *copied);
}

void op_ioctl(fuse_req_t req, fuse_ino_t, unsigned command, void*, FileInfo* info, unsigned, const void* input,
              std::size_t input_size, std::size_t) {
  const std::string_view bytes(static_cast<const char*>(input), input == nullptr ? 0 : input_size);
  const auto output = mount_of(req).files().control(caller_of(req), info->fh, command, bytes);
  if (!output) return reply_errno(req, output.error());
  fuse_reply_ioctl(req, 0, output->data(), output->size());
}

}  // namespace

void add_data_operations(struct fuse_lowlevel_ops& ops) {
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
  ops.fallocate = op_fallocate;
  ops.lseek = op_lseek;
  ops.copy_file_range = op_copy_file_range;
  ops.ioctl = op_ioctl;
}

}  // namespace berth::fuse

// Names and attributes.
#include <cstdint>

#include "fuse/ops_common.hpp"

namespace berth::fuse {
namespace {

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char* name) {
  Mount& mount = mount_of(req);
  const auto found = mount.files().lookup(caller_of(req), parent, name);
  if (!found || found->ino != 0) return reply(req, found);
  const struct fuse_entry_param missing = entry_param(mount, *found);
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
  reply(req, mount_of(req).files().attributes(ino, info == nullptr ? 0 : info->fh));
}

#if BERTH_FUSE_STATX
void op_statx(fuse_req_t req, fuse_ino_t ino, int, int mask, FileInfo* info) {
  Mount& mount = mount_of(req);
  const auto found = mount.files().extended_attributes(ino, info == nullptr ? 0 : info->fh, static_cast<unsigned>(mask));
  if (!found) return reply_errno(req, found.error());
  struct statx values = found->values;
  fuse_reply_statx(req, 0, &values, mount.timeout(found->trust));
}
#endif

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
  Intent intent = mount.intent();
  const auto changed = mount.files().change(caller_of(req), ino, changes, info == nullptr ? 0 : info->fh, intent);
  // Where the kernel does not check directories itself, names it has cached below one are only as good as its mode was.
  const bool closed = changed && S_ISDIR(changed->values.st_mode) && !everybody_may_search(changed->values.st_mode);
  if (closed && (changes.mode || changes.uid || changes.gid)) mount.access_changed();
  reply(req, changed);
}

void op_readlink(fuse_req_t req, fuse_ino_t ino) {
  const auto target = mount_of(req).files().read_link(ino);
  if (!target) return reply_errno(req, target.error());
  fuse_reply_readlink(req, target->c_str());
}

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char* name, mode_t mode, dev_t device) {
  Mount& mount = mount_of(req);
  Intent intent = mount.intent();
  reply(req, mount.files().make_node(caller_of(req), parent, name, mode, device, intent));
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char* name, mode_t mode) {
  Mount& mount = mount_of(req);
  Intent intent = mount.intent();
  reply(req, mount.files().make_directory(caller_of(req), parent, name, mode, intent));
}

void op_symlink(fuse_req_t req, const char* target, fuse_ino_t parent, const char* name) {
  Mount& mount = mount_of(req);
  Intent intent = mount.intent();
  reply(req, mount.files().make_symlink(caller_of(req), target, parent, name, intent));
}

void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char* name) {
  Mount& mount = mount_of(req);
  Intent intent = mount.intent();
  reply(req, mount.files().link(caller_of(req), ino, parent, name, intent));
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char* name) {
  Mount& mount = mount_of(req);
  Intent intent = mount.intent();
  reply(req, mount.files().unlink(caller_of(req), parent, name, intent));
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char* name) {
  Mount& mount = mount_of(req);
  Intent intent = mount.intent();
  reply(req, mount.files().remove_directory(caller_of(req), parent, name, intent));
}

void op_rename(fuse_req_t req, fuse_ino_t parent, const char* name, fuse_ino_t new_parent, const char* new_name, unsigned flags) {
  Mount& mount = mount_of(req);
  Intent intent = mount.intent();
  reply(req, mount.files().rename(caller_of(req), parent, name, new_parent, new_name, flags, intent));
}

void op_statfs(fuse_req_t req, fuse_ino_t ino) {
  const auto statistics = mount_of(req).files().statistics(ino == 0 ? kRootIno : ino);
  if (!statistics) return reply_errno(req, statistics.error());
  fuse_reply_statfs(req, &*statistics);
}

void op_access(fuse_req_t req, fuse_ino_t ino, int mask) { reply(req, mount_of(req).files().access(caller_of(req), ino, mask)); }

}  // namespace

void add_name_operations(struct fuse_lowlevel_ops& ops) {
  ops.lookup = op_lookup;
  ops.forget = op_forget;
  ops.forget_multi = op_forget_multi;
  ops.getattr = op_getattr;
  ops.setattr = op_setattr;
#if BERTH_FUSE_STATX
  ops.statx = op_statx;
#endif
  ops.readlink = op_readlink;
  ops.mknod = op_mknod;
  ops.mkdir = op_mkdir;
  ops.symlink = op_symlink;
  ops.link = op_link;
  ops.unlink = op_unlink;
  ops.rmdir = op_rmdir;
  ops.rename = op_rename;
  ops.statfs = op_statfs;
  ops.access = op_access;
}

}  // namespace berth::fuse

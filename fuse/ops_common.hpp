// What the FUSE operations share: from a request to its mount and caller, and the replies. For ops*.cpp only.
#pragma once

#include <cerrno>

#include "fuse/libfuse.hpp"
#include "fuse/mount.hpp"

namespace berth::fuse {

using FileInfo = struct fuse_file_info;

inline Mount& mount_of(fuse_req_t req) { return *static_cast<Mount*>(fuse_req_userdata(req)); }

inline Caller caller_of(fuse_req_t req) {
  const struct fuse_ctx* context = fuse_req_ctx(req);
  return {context->uid, context->gid, context->pid};
}

inline void reply_errno(fuse_req_t req, Errno value) { fuse_reply_err(req, number(value)); }

inline void reply(fuse_req_t req, const Answer<>& answer) {
  mount_of(req).answering();
  fuse_reply_err(req, answer ? 0 : number(answer.error()));
}

inline void reply(fuse_req_t req, const Answer<Attributes>& answer) {
  mount_of(req).answering();
  if (!answer) return reply_errno(req, answer.error());
  fuse_reply_attr(req, &answer->values, mount_of(req).timeout(answer->trust));
}

inline struct fuse_entry_param entry_param(const Mount& mount, const Entry& entry) {
  struct fuse_entry_param param{};
  param.ino = entry.ino;
  param.generation = mount.revision_of(entry.ino);
  param.attr = entry.attributes;
  param.attr_timeout = mount.timeout(entry.attributes_trust);
  param.entry_timeout = mount.name_timeout(entry.name_trust);
  return param;
}

// A reply that does not arrive (the caller was killed) leaves no reference with the kernel.
inline void reply(fuse_req_t req, const Answer<Entry>& answer) {
  if (!answer) return reply_errno(req, answer.error());
  Mount& mount = mount_of(req);
  struct fuse_entry_param param = entry_param(mount, *answer);
  mount.answering();
  if (!mount.introduces(param.ino)) param.attr_timeout = 0;
  if (fuse_reply_entry(req, &param) != 0) mount.files().unretain(answer->ino);
}

// Each file's part of the table.
void add_name_operations(struct fuse_lowlevel_ops& ops);
void add_data_operations(struct fuse_lowlevel_ops& ops);
void add_listing_operations(struct fuse_lowlevel_ops& ops);
void add_lock_operations(struct fuse_lowlevel_ops& ops);

}  // namespace berth::fuse

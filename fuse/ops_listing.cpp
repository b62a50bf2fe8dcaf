// Directories.
#include <cstring>
#include <span>
#include <vector>

#include "fuse/ops_common.hpp"
#include "fuse/standby.hpp"
#include "fuse/wire.hpp"

namespace berth::fuse {
namespace {

void op_opendir(fuse_req_t req, fuse_ino_t ino, FileInfo* info) {
  Mount& mount = mount_of(req);
  Intent intent = mount.intent();
  const auto handle = mount.files().open_directory(caller_of(req), ino, intent);
  if (!handle) return reply_errno(req, handle.error());
  info->fh = *handle;
  if (mount.lists_may_be_kept()) {
    const auto use = mount.files().listing_use(*handle, std::chrono::duration<double>(mount.timeout(Trust::brief)));
    info->cache_readdir = use.keep ? 1 : 0;
    info->keep_cache = use.current ? 1 : 0;
  }
  mount.answering();
  if (fuse_reply_open(req, info) != 0) mount.files().close(*handle);
}

// `name`: with its attributes, as fuse_add_direntry_plus wrote it.
void remember_no_attributes(std::span<char> name) {
  EntryHead entry{};
  std::memcpy(&entry, name.data(), sizeof(entry));
  entry.attributes_seconds = entry.attributes_nanoseconds = 0;
  std::memcpy(name.data(), &entry, sizeof(entry));
}

// One reply's worth of names; with attributes where `plus`, each of which is a lookup.
class Listing {
 public:
  Listing(fuse_req_t req, Ino directory, std::size_t size, bool plus)
      : req_(req), mount_(mount_of(req)), directory_(directory), plus_(plus), buffer_(size) {}

  bool add(const FileSystem::Name& name) {
    struct fuse_entry_param param{};
    param.attr.st_ino = name.number;
    param.attr.st_mode = name.type;
    const bool dots = std::strcmp(name.name, ".") == 0 || std::strcmp(name.name, "..") == 0;
    if (dots && directory_ == kRootIno) param.attr.st_ino = mount_.key_of(kRootIno).number;  // says nothing of what is above
    if (plus_ && !dots && !mount_.files().inodes().descriptors_scarce()) {
      const auto entry = mount_.files().lookup(caller_of(req_), directory_, name.name);
      if (entry && entry->ino != 0) param = entry_param(mount_, *entry);
    }
    char* at = buffer_.data() + used_;
    const std::size_t left = buffer_.size() - used_;
    const std::size_t needed = plus_ ? fuse_add_direntry_plus(req_, at, left, name.name, &param, name.next)
                                     : fuse_add_direntry(req_, at, left, name.name, &param.attr, name.next);
    if (needed > left) {
      if (param.ino != 0) mount_.files().unretain(param.ino);
      return false;
    }
    if (param.ino != 0) entered_.push_back({param.ino, used_});
    used_ += needed;
    return true;
  }

  // Whether the kernel will enter any names.
  bool enters() const { return !entered_.empty(); }

  void reply(const Answer<>& read) {
    if (!read && used_ == 0) return reply_errno(req_, read.error());
    mount_.answering();
    for (const Entered& one : entered_) {
      if (!mount_.introduces(one.ino)) remember_no_attributes(std::span(buffer_).subspan(one.at));
    }
    if (fuse_reply_buf(req_, buffer_.data(), used_) == 0) return;
    for (; !entered_.empty(); entered_.pop_back()) mount_.files().unretain(entered_.back().ino);
  }

 private:
  struct Entered {
    Ino ino = 0;
    std::size_t at = 0;  // in the buffer
  };

  fuse_req_t req_;
  Mount& mount_;
  const Ino directory_;
  const bool plus_;
  std::vector<char> buffer_;
  std::size_t used_ = 0;
  std::vector<Entered> entered_;
};

void list(fuse_req_t req, Ino ino, std::size_t size, off_t offset, Handle handle, bool plus) {
  Standby::about_to_wait();  // a lookup for each name
  FileSystem& files = mount_of(req).files();
  Listing listing(req, ino, size, plus);
  files.list_taken_in(handle);  // or it would not ask for more
  if (plus) files.list_page(handle);
  const auto read = files.read_directory(handle, offset, [&](const auto& name) { return listing.add(name); });
  if (!listing.enters()) files.list_taken_in(handle);
  listing.reply(read);
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

}  // namespace

void add_listing_operations(struct fuse_lowlevel_ops& ops) {
  ops.opendir = op_opendir;
  ops.readdir = op_readdir;
  ops.readdirplus = op_readdirplus;
  ops.releasedir = op_releasedir;
  ops.fsyncdir = op_fsyncdir;
}

}  // namespace berth::fuse

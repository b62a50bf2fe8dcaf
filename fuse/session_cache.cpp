#include "fuse/session_cache.hpp"

#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstdint>

#include "fuse/libfuse.hpp"
#include "fuse/wire.hpp"

namespace berth::fuse {

template <class Notify>
void SessionCache::tell(Notify&& notify) {
  ++calls_;
  if (struct fuse_session* session = session_) notify(session);
  if (--calls_ == 0) calls_.notify_all();
}

void SessionCache::end() {
  end_soon();
  for (unsigned calls = calls_; calls != 0; calls = calls_) calls_.wait(calls);
}

bool SessionCache::drop_attributes(Ino ino) {
  bool again = false;
  tell([&](struct fuse_session* session) {
    again = fuse_lowlevel_notify_inval_inode(session, ino, -1, 0) == -ENOENT && introductions_.unknown(ino);
  });
  return !again;
}

void SessionCache::drop_data(Ino ino, off_t offset, off_t length) {
  tell([&](struct fuse_session* session) { fuse_lowlevel_notify_inval_inode(session, ino, offset, length); });
}

void SessionCache::drop_name(Ino directory, const std::string& name) {
  tell([&](struct fuse_session* session) { fuse_lowlevel_notify_inval_entry(session, directory, name.c_str(), name.size()); });
}

bool SessionCache::drop_every_name() {
  if (!epochs_) return false;
#if BERTH_FUSE_EPOCH
  tell([](struct fuse_session* session) { fuse_lowlevel_notify_increment_epoch(session); });
#endif
  return true;
}

// Past libfuse, which has no call for it.
bool SessionCache::prune(std::span<const Ino> inodes) {
  if (!prunes_) return false;
  tell([&](struct fuse_session* session) {
    const NotifyPrune prune{.head = {static_cast<std::uint32_t>(sizeof(NotifyPrune) + inodes.size_bytes()), kNotifyPrune, 0},
                            .count = static_cast<std::uint32_t>(inodes.size())};
    std::array<struct iovec, 2> parts{
        {{const_cast<NotifyPrune*>(&prune), sizeof(prune)}, {const_cast<Ino*>(inodes.data()), inodes.size_bytes()}}};
    if (writev(fuse_session_fd(session), parts.data(), parts.size()) < 0 && errno == EINVAL) prunes_ = false;
  });
  return prunes_;
}

bool SessionCache::slow() {
  bool gated = false;
  tell([&](struct fuse_session*) { gated = gated_.load(std::memory_order_relaxed); });
  return gated;
}

void SessionCache::access_changed() {
  tell([this](struct fuse_session*) {
    if (!grant_.decides_search()) return;
    drop_all_names();
    names().again_after_lists();
  });
}

}  // namespace berth::fuse

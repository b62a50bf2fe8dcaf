#include "fuse/ops.hpp"

#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <string>

#include "fuse/ops_common.hpp"

namespace berth::fuse {
namespace {

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

ssize_t send_message(int /*device*/, struct iovec* parts, int count, void* data) {
  const std::span message(parts, static_cast<std::size_t>(count));
  if (!static_cast<Mount*>(data)->send(message)) return -1;
  ssize_t size = 0;
  for (const iovec& part : message) size += static_cast<ssize_t>(part.iov_len);
  return size;
}

// libfuse wants one, and never calls it: the reactor reads.
ssize_t read_nothing(int /*device*/, void* /*buffer*/, std::size_t /*size*/, void* /*data*/) {
  errno = ENOSYS;
  return -1;
}

// No extended attributes, as with EFS: ENOSYS once, and the kernel stops asking for them on every write.
struct fuse_lowlevel_ops operations() {
  struct fuse_lowlevel_ops ops{};
  ops.init = op_init;
  add_name_operations(ops);
  add_data_operations(ops);
  add_listing_operations(ops);
  add_lock_operations(ops);
  return ops;
}

}  // namespace

struct fuse_session* new_session(Mount& mount) {
  static const struct fuse_lowlevel_ops ops = operations();
  std::string name = "berth";
  std::array<char*, 1> arguments{name.data()};
  struct fuse_args args = FUSE_ARGS_INIT(1, arguments.data());
  struct fuse_session* session = fuse_session_new(&args, &ops, sizeof(ops), &mount);
  fuse_opt_free_args(&args);  // libfuse has made copies of its own
  return session;
}

bool send_through(struct fuse_session* session, int device) {
  struct fuse_custom_io io{};
  io.writev = send_message;
  io.read = read_nothing;
  return fuse_session_custom_io(session, &io, device) == 0;
}

}  // namespace berth::fuse

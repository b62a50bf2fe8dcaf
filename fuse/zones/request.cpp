#include "fuse/zones/request.hpp"

#include <fcntl.h>
#include <linux/fuse.h>

#include <cstring>

namespace berth::fuse::zones {
namespace {

constexpr std::uint32_t kTmpfile = 51;  // FUSE_TMPFILE, which Debian's kernel headers may lack

// The fixed part behind the header, zero where the message is too short.
template <class T>
T body_of(std::span<const std::byte> message) {
  T body{};
  if (message.size() >= sizeof(fuse_in_header) + sizeof(T)) {
    std::memcpy(&body, message.data() + sizeof(fuse_in_header), sizeof(T));
  }
  return body;
}

bool opens_to_change(std::uint32_t flags) { return (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC) != 0; }

// FLUSH and RELEASE cross NFS's wire too, but the kernel can't be interrupted in them: a task could not be stopped. Extended
// attributes an NFS 4.1 client does not ask for, and the kernel asks in the middle of writes to files open in passthrough.
bool is_local(std::uint32_t opcode) {
  switch (opcode) {
    case FUSE_INIT:
    case FUSE_DESTROY:
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_FLUSH:
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR:
    case FUSE_GETXATTR:
    case FUSE_SETXATTR:
    case FUSE_LISTXATTR:
    case FUSE_REMOVEXATTR:
    case FUSE_NOTIFY_REPLY: return true;
    default: return false;
  }
}

bool changes_names_or_attributes(std::uint32_t opcode) {
  switch (opcode) {
    case FUSE_SETATTR:
    case FUSE_SYMLINK:
    case FUSE_MKNOD:
    case FUSE_MKDIR:
    case FUSE_UNLINK:
    case FUSE_RMDIR:
    case FUSE_RENAME:
    case FUSE_RENAME2:
    case FUSE_LINK:
    case FUSE_CREATE:
    case FUSE_FALLOCATE:
    case kTmpfile: return true;
    default: return false;
  }
}

}  // namespace

Request read_request(std::span<const std::byte> message) {
  Request request;
  fuse_in_header head{};
  if (message.size() < sizeof(head)) return request;
  std::memcpy(&head, message.data(), sizeof(head));
  request.unique = head.unique;
  request.pid = head.pid;
  if (is_local(head.opcode)) return request;
  request.kind = Request::Kind::metadata;
  if (head.opcode == FUSE_INTERRUPT) {
    request.kind = Request::Kind::interrupt;
    request.interrupted = body_of<fuse_interrupt_in>(message).unique;
  } else if (head.opcode == FUSE_READ) {
    request.kind = Request::Kind::read;
    request.bytes = body_of<fuse_read_in>(message).size;
  } else if (head.opcode == FUSE_WRITE) {
    request.kind = Request::Kind::write;
    request.bytes = body_of<fuse_write_in>(message).size;
    request.changes = true;
  } else if (head.opcode == FUSE_COPY_FILE_RANGE) {
    request.kind = Request::Kind::copy;
    request.changes = true;
  } else if (head.opcode == FUSE_OPEN) {
    request.changes = opens_to_change(body_of<fuse_open_in>(message).flags);
  } else {
    request.changes = changes_names_or_attributes(head.opcode);
  }
  return request;
}

}  // namespace berth::fuse::zones

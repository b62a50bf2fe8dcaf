// The FUSE operations: decode, call FileSystem, reply.
#pragma once

struct fuse_session;

namespace berth::fuse {

class Mount;

// A libfuse session with Berth's operations whose requests go to `mount`. Null where libfuse can't make one.
struct fuse_session* new_session(Mount& mount);

// The session's replies go through Mount::send(), its device is `device`, which it closes. Else fuse_session_mount() does.
bool send_through(struct fuse_session* session, int device);

}  // namespace berth::fuse

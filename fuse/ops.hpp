// The FUSE operations: decode, call FileSystem, reply.
#pragma once

struct fuse_session;

namespace berth::fuse {

class Mount;

// A libfuse session with Berth's operations whose requests go to `mount`. Null where libfuse can't make one.
struct fuse_session* new_session(Mount& mount);

}  // namespace berth::fuse
